/* SPDX-License-Identifier: Apache-2.0 */

/* The configuration file: what it says, and what is said of one that cannot be. */

#include "config/config.h"
#include "config/value.h"
#include "unit.h"

#include <fcntl.h>
#include <freshet/status.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = P_tmpdir "/freshet-config-XXXXXX";

static const char *path_of(const char *name, char ret_path[128])
{
    (void)snprintf(ret_path, 128, "%s/%s", folder, name);
    return ret_path;
}

static void write_bytes(const char *name, const char *bytes, size_t len)
{
    char path[128];
    FILE *file = fopen(path_of(name, path), "we");

    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0640), 0);
}

static void write_file(const char *name, const char *text)
{
    write_bytes(name, text, strlen(text));
}

static void remove_file(const char *name)
{
    char path[128];

    (void)unlink(path_of(name, path));
}

/* Replaces the name of the folder, which differs from run to run, by "D". */
static void anonymous(const char *message, char ret_text[512])
{
    const char *at;

    ret_text[0] = '\0';
    while ((at = strstr(message, folder))) {
        (void)snprintf(ret_text + strlen(ret_text), 512 - strlen(ret_text), "%.*sD",
                       (int)(at - message), message);
        message = at + strlen(folder);
    }
    (void)snprintf(ret_text + strlen(ret_text), 512 - strlen(ret_text), "%s", message);
}

static struct fsh_config *load(const char *name)
{
    struct fsh_config *config = NULL;
    struct freshet_error error = {0};
    char path[128];

    if (fsh_config_load(path_of(name, path), NULL, NULL, &config, &error) != FRESHET_OK)
        fail_msg("%s", error.message);
    return config;
}

/* The first problem of the file. */
static void refused(const char *name, int status, const char *message)
{
    struct fsh_config *config = NULL;
    struct freshet_error error = {0};
    char path[128];
    char text[512];

    assert_int_equal(fsh_config_load(path_of(name, path), NULL, NULL, &config, &error), status);
    assert_null(config);
    assert_int_equal(error.status, status);
    anonymous(error.message, text);
    assert_string_equal(text, message);
}

#define URL "[platform]\nurl = https://api.example.com\n"

/* ---- what is wrong with a line ----------------------------------------------------------- */

static const struct {
    const char *text;
    const char *message; /* behind the file's name */
} wrong[] = {
    /* sections */
    {"[platfrom]\n", ":1: there is no section [platfrom]; did you mean [platform]?"},
    {"[Store]\n", ":1: there is no section [Store]; did you mean [store]?"},
    {"[sesion billing]\n", ":1: there is no section [sesion billing]; there are [platform], "
                           "[store], [keeper], [session NAME] and [browser]"},
    {"[sesion]\n", ":1: there is no section [sesion]; did you mean [session NAME]?"},
    {"[]\n", ":1: there is no section []; there are [platform], [store], [keeper], [session NAME] "
             "and [browser]"},
    {"[session]\n", ":1: the session has no name: write [session NAME]"},
    {"[session a b]\n", ":1: a session's name is printable ASCII without spaces and quotes"},
    {"[session \"a\"]\n", ":1: a session's name is printable ASCII without spaces and quotes"},
    {"[session a\xc3\xa9]\n", ":1: a session's name is printable ASCII without spaces and quotes"},
    {"[store\n", ":1: a heading is a line of its own: [SECTION]"},
    {"[store] key_file = x\n", ":1: a heading is a line of its own: [SECTION]"},
    /* keys */
    {"[platform]\nprofil = partner\n",
     ":2: [platform] has no key \"profil\"; did you mean \"profile\"?"},
    {"[platform]\nURL = x\n", ":2: [platform] has no key \"URL\"; did you mean \"url\"?"},
    {"[platform]\nhtreshold = 1\n",
     ":2: [platform] has no key \"htreshold\"; did you mean \"threshold\"?"},
    {"[store]\nsecret = x\n", ":2: [store] has no key \"secret\"; did you mean \"secrets\"?"},
    {"[store]\nincldue = x\n", ":2: [store] has no key \"incldue\"; did you mean \"include\"?"},
    {"[platform]\nkey_file = x\n", ":2: [platform] has no key \"key_file\"; it belongs to [store]"},
    {"[store]\nzebra = x\n", ":2: [store] has no key \"zebra\"; it has secrets, tokens, key_file"},
    {"[session a]\nallow uid:x = read\n",
     ":2: [session NAME] has no key \"allow uid\"; it has username, password_file, partner_id, "
     "on_demand, first_party, threshold, sign_in_pause, allow"},
    {"[store]\n= x\n", ":2: there is no key before the ="},
    {"url = x\n", ":1: url stands before the first section; write [platform] above it"},
    {"ulr = x\n", ":1: there is no key \"ulr\" before the first section; did you mean \"url\" "
                  "below [platform]?"},
    {"incldue = x\n", ":1: there is no key \"incldue\"; did you mean \"include\"?"},
    {"zebra = x\n",
     ":1: there is no key \"zebra\" before the first section; write [SECTION] above it"},
    /* secrets */
    {"[session a]\npassword = hunter2\n",
     ":2: secrets are never in this file; put the password into a file of mode 0600 and name it "
     "with password_file, instead of \"password\""},
    {"[session a]\npassword_command = pass show x\n",
     ":2: secrets are never in this file; put the password into a file of mode 0600 and name it "
     "with password_file, instead of \"password_command\""},
    {"[session a]\nrefresh_token = x\n",
     ":2: secrets are never in this file; put the password into a file of mode 0600 and name it "
     "with password_file, instead of \"refresh_token\""},
    /* twice */
    {URL "url = https://b.example.com\n", ":3: url stands twice; first in D/c.conf:2"},
    {URL "[store]\n[platform]\nurl = https://b.example.com\n",
     ":5: url stands twice; first in D/c.conf:2"},
    {URL "[session a]\n[session b]\n[session a]\n",
     ":5: [session a] stands twice; first in D/c.conf:3"},
    /* lines */
    {"[platform]\nnonsense\n", ":2: neither a [SECTION], nor KEY = VALUE, nor a comment; a value "
                               "ends with its line"},
    {"[platform]\norigins = https://a.example.com,\n    elsewhere\n",
     ":3: neither a [SECTION], nor KEY = VALUE, nor a comment; a value ends with its line"},
    {"[platform]\nlast", ":2: neither a [SECTION], nor KEY = VALUE, nor a comment; a value ends "
                         "with its line"},
    {"[platform]\nurl = https://a\x01\n", ":2: the line has a control character"},
    {"[platform]\nurl = https://a\rurl = x\n", ":2: the line has a control character"},
    /* the whole */
    {"", ": [platform] needs the key url"},
    {"[platform]\n", ":1: [platform] needs the key url"},
    {URL "[store]\nsecrets = sqlite:a\n",
     ":4: secrets on a disk needs key_file in [store]; `freshet key new FILE` makes one"},
    {URL "[store]\ntokens = sqlite:a\n",
     ":4: tokens on a disk needs key_file in [store]; `freshet key new FILE` makes one"},
    {URL "[store]\nkey_file = k\nsecrets = sqlite:a\ntokens = sqlite:a\n",
     ":6: tokens must not be in the file of the secrets; name another"},
    {URL "[keeper]\ncontrol_socket = s\nbrowser_socket = s\n",
     ":5: browser_socket is control_socket; name another"},
    {URL "[browser]\nidle_timeout = 13h\n", ":4: idle_timeout is longer than absolute_timeout"},
    {URL "[browser]\nabsolute_timeout = 1min\n",
     ":4: idle_timeout is longer than absolute_timeout"},
    {URL "[session a]\npassword_file = p\n",
     ":4: password_file without username; name the account"},
};

static void each_wrong_line_is_named(void **state)
{
    char message[512];

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        write_file("c.conf", wrong[i].text);
        (void)snprintf(message, sizeof(message), "D/c.conf%s", wrong[i].message);
        refused("c.conf", FRESHET_ECONFIG, message);
    }
}

/* ---- values ------------------------------------------------------------------------------ */

#define B  FSH_CONFIG_TYPE_BOOLEAN
#define D  FSH_CONFIG_TYPE_DURATION
#define F  FSH_CONFIG_TYPE_FILE
#define N  FSH_CONFIG_TYPE_NUMBER
#define O  FSH_CONFIG_TYPE_ORIGIN
#define OS FSH_CONFIG_TYPE_ORIGINS
#define P  FSH_CONFIG_TYPE_PERMISSION
#define PA FSH_CONFIG_TYPE_PARTNER
#define PR FSH_CONFIG_TYPE_PROXY
#define S  FSH_CONFIG_TYPE_STORE
#define U  FSH_CONFIG_TYPE_URL

static const struct {
    enum fsh_config_type type;
    const char *text;
    const char *made; /* NULL: refused */
} values[] = {
    {B, "yes", "yes"},
    {B, "true", "yes"},
    {B, "on", "yes"},
    {B, "no", "no"},
    {B, "false", "no"},
    {B, "off", "no"},
    {B, "1", NULL},
    {B, "Yes", NULL},
    {B, "", NULL},
    {D, "5 min", "5 min"},
    {D, "0", NULL},
    {D, "-1", NULL},
    {D, "1.5h", NULL},
    {D, "367d", NULL},
    {D, "5 minutes", NULL},
    {D, "99999999999999999999s", NULL},
    {F, "a/b", "/etc/freshet/a/b"},
    {F, "/a/b", "/a/b"},
    {F, "~/a", NULL},
    {F, "a/", NULL},
    {N, "1", "1"},
    {N, "10000000", "10000000"},
    {N, "10000001", NULL},
    {N, "0", NULL},
    {N, "-1", NULL},
    {N, "1e3", NULL},
    {N, "1 000", NULL},
    {N, "99999999999999999999", NULL},
    {O, "https://a.example.com", "https://a.example.com"},
    {O, "https://a.example.com/", "https://a.example.com"},
    {O, "https://A.Example.com:443/", "https://a.example.com"},
    {O, "https://a.example.com:4443", "https://a.example.com:4443"},
    {O, "https://[::443]", "https://[::443]"},
    {O, "http://127.0.0.1:80", "http://127.0.0.1"},
    {O, "https://a.example.com//", NULL},
    {O, "https://a.example.com/x", NULL},
    {O, "http://[::1]:8080", "http://[::1]:8080"},
    {OS, "https://a.example.com,https://b.example.com:8443",
     "https://a.example.com https://b.example.com:8443"},
    {OS, " https://a.example.com ,, http://127.0.0.1:1 ",
     "https://a.example.com http://127.0.0.1:1"},
    {OS, "https://a.example.com elsewhere", NULL},
    {OS, ",", NULL},
    {P, "uid:billing  read\treport", "uid:billing read report"},
    {P, "gid:0 admin", "gid:0 admin"},
    {P, "uid:4294967294 read", "uid:4294967294 read"},
    {P, "uid:4294967295 read", NULL},
    {P, "uid:12x read", NULL},
    {P, "uid:billing", NULL},
    {P, "uid: read", NULL},
    {P, "billing read", NULL},
    {P, "uid:billing write", NULL},
    {P, "uid:billing read,report", NULL},
    {P, "uid:billing read read", NULL},
    {P, "uid:-x read", NULL},
    {PA, "fd42", "fd42"},
    {PA, "fd 42", NULL},
    {PR, "http://proxy.example.com:3128", "http://proxy.example.com:3128"},
    {PR, "socks5h://127.0.0.1", "socks5h://127.0.0.1"},
    {PR, "proxy:3128", "proxy:3128"},
    {PR, "http://user:pass@proxy.example.com", NULL},
    {PR, "ftp://proxy.example.com", NULL},
    {S, "memory:", "memory:"},
    {S, "sqlite:s.db", "sqlite:/etc/freshet/s.db"},
    {S, "sqlite:/s.db", "sqlite:/s.db"},
    {S, "sqlite:", NULL},
    {S, "sqlite::memory:", NULL},
    {S, "sqlite:file:x?mode=rw", NULL},
    {S, "sqlite:~/x", NULL},
    {S, "postgresql://x", NULL},
    {S, "memory", NULL},
    {U, "https://api.example.com/v1", "https://api.example.com/v1"},
    {U, "https://api.example.com:443", "https://api.example.com:443"},
    {U, "http://localhost:9000", "http://localhost:9000"},
    {U, "http://127.0.0.1:9000/x", "http://127.0.0.1:9000/x"},
    {U, "http://api.example.com", NULL},
    {U, "http://127.0.0.1.evil.example", NULL},
    {U, "http://localhost.evil.example", NULL},
    {U, "https://user@api.example.com", NULL},
    {U, "https://api.example.com:0", NULL},
    {U, "https://api.example.com:65536", NULL},
    {U, "https://api.example.com?x", NULL},
    {U, "https://api.example.com/#x", NULL},
    {U, "https://a b", NULL},
    {U, "https://", NULL},
    {U, "api.example.com", NULL},
};

static void values_are_what_they_must_be(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        const char *expects = NULL;
        char *made = NULL;
        int status =
            fsh_config_value(values[i].type, values[i].text, "/etc/freshet", &made, &expects);

        if ((status == FRESHET_OK) != (values[i].made != NULL))
            fail_msg("\"%s\": %d", values[i].text, status);
        if (values[i].made)
            assert_string_equal(made, values[i].made);
        else
            assert_non_null(expects);
        free(made);
    }
}

static void a_file_may_be_a_credential(void **state)
{
    static const struct {
        const char *folder;
        const char *text;
        const char *made;
    } rows[] = {
        {"/run/credentials/x", "${CREDENTIALS_DIRECTORY}/store.key",
         "/run/credentials/x/store.key"},
        {NULL, "${CREDENTIALS_DIRECTORY}/store.key", "${CREDENTIALS_DIRECTORY}/store.key"},
        {"here", "${CREDENTIALS_DIRECTORY}/store.key", "${CREDENTIALS_DIRECTORY}/store.key"},
        {"/run/credentials/x", "${CREDENTIALS_DIRECTORY}", "/etc/freshet/${CREDENTIALS_DIRECTORY}"},
        {"/run/credentials/x", "$CREDENTIALS_DIRECTORY/k", "/etc/freshet/$CREDENTIALS_DIRECTORY/k"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *expects = NULL;
        char *made = NULL;

        (void)unsetenv("CREDENTIALS_DIRECTORY");
        if (rows[i].folder)
            (void)setenv("CREDENTIALS_DIRECTORY", rows[i].folder, 1);
        assert_int_equal(fsh_config_value(F, rows[i].text, "/etc/freshet", &made, &expects),
                         FRESHET_OK);
        assert_string_equal(made, rows[i].made);
        free(made);
    }
    (void)unsetenv("CREDENTIALS_DIRECTORY");
}

static void a_socket_has_room_in_its_address(void **state)
{
    const char *expects = NULL;
    char *made = NULL;
    char path[109];

    (void)state;
    memset(path, 'x', sizeof(path) - 1);
    path[0] = '/';
    path[107] = '\0';
    assert_int_equal(fsh_config_value(FSH_CONFIG_TYPE_SOCKET, path, "/", &made, &expects), 0);
    free(made);
    path[107] = 'x';
    path[108] = '\0';
    assert_int_equal(fsh_config_value(FSH_CONFIG_TYPE_SOCKET, path, "/", &made, &expects),
                     FRESHET_EINVAL);
}

static void durations_have_units(void **state)
{
    (void)state;
    assert_int_equal(fsh_config_duration("300"), 300000);
    assert_int_equal(fsh_config_duration("500ms"), 500);
    assert_int_equal(fsh_config_duration("30s"), 30000);
    assert_int_equal(fsh_config_duration("5min"), 300000);
    assert_int_equal(fsh_config_duration("5 min"), 300000);
    assert_int_equal(fsh_config_duration("12h"), 43200000);
    assert_int_equal(fsh_config_duration("366d"), 366 * INT64_C(86400000));
    assert_int_equal(fsh_config_duration("5m"), -1);
    assert_int_equal(fsh_config_duration("min"), -1);
}

/* Of each key one value that is wrong, unless everything is right: what the message asks for is
 * that of its type. */
static void a_wrong_value_is_told_what_is_expected(void **state)
{
    static const struct {
        const char *heading;
        const char *line;
        const char *message;
    } rows[] = {
        {"platform", "url = http://a",
         "url expects https://HOST[:PORT][/PATH] (http for loopback only), without a user name, "
         "query or fragment"},
        {"platform", "origins = https://a/x",
         "origins expects https://HOST or https://HOST:PORT and no path (http for loopback only), "
         "several separated by spaces or commas"},
        {"platform", "profile = a b", "profile expects one word"},
        {"platform", "threshold = soon",
         "threshold expects a duration such as 300, 500ms, 30s, 5min or 12h, at most 366d"},
        {"platform", "ca_file = ~/ca", "ca_file expects the path of a file; ~ is not expanded"},
        {"platform", "proxy = a@b",
         "proxy expects [http://|https://|socks5://|socks5h://]HOST[:PORT], without a user name"},
        {"store", "secrets = disk", "secrets expects memory:, sqlite:FILE or keeper:SOCKET"},
        {"store", "key_file =", "key_file expects the path of a file; ~ is not expanded"},
        {"keeper", "control_socket = x/",
         "control_socket expects the path of a Unix socket, at most 107 bytes; ~ is not expanded"},
        {"keeper", "log_level = loud", "log_level expects error, warning, info or debug"},
        {"keeper", "log_format = xml", "log_format expects text or json"},
        {"session a", "username =", "username expects a text"},
        {"session a", "partner_id = a b",
         "partner_id expects a partner id: printable ASCII without spaces"},
        {"session a", "on_demand = maybe", "on_demand expects yes or no"},
        {"session a", "allow = all",
         "allow expects uid:NAME or gid:NAME (or a number), then one or more of read, report and "
         "admin"},
        {"browser", "origin = https://a/x",
         "origin expects https://HOST or https://HOST:PORT and no path (http for loopback only)"},
        {"browser", "include = ~/x",
         "include expects the path of a file, or a pattern of paths; ~ is not expanded"},
    };
    char text[512];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        (void)snprintf(text, sizeof(text), "[%s]\n%s\n", rows[i].heading, rows[i].line);
        write_file("c.conf", text);
        (void)snprintf(text, sizeof(text), "D/c.conf:2: %s", rows[i].message);
        refused("c.conf", FRESHET_ECONFIG, text);
    }
}

/* ---- a good file ------------------------------------------------------------------------- */

static const char *text_of(const struct fsh_config *config, const char *section, const char *key)
{
    const struct fsh_config_section *found = fsh_config_section(config, section);

    assert_non_null(found);
    return fsh_config_text(found, key);
}

static void a_file_says_what_it_says(void **state)
{
    struct fsh_config *config;
    char path[128];

    (void)state;
    write_file("c.conf", "\xef\xbb\xbf# with a mark, two kinds of line end, comments\r\n"
                         "; and colons\r\n"
                         "[platform]   ; the platform\r\n"
                         "url: https://api.example.com   ; theirs\r\n"
                         "origins = https://files.example.com\n"
                         "\torigins = https://more.example.com, https://most.example.com:8443\n"
                         "[store]\n"
                         "tokens = sqlite:tokens.db\n"
                         "key_file = /etc/store.key\n"
                         "[ session\tbilling ]\n"
                         "    username = svc = billing#1\n"
                         "    allow = uid:billing read report\n"
                         "    allow = gid:12 admin\n"
                         "    on_demand = on\n"
                         "[session a]");
    config = load("c.conf");
    assert_string_equal(text_of(config, "platform", "url"), "https://api.example.com");
    assert_string_equal(text_of(config, "platform", "origins"),
                        "https://files.example.com https://more.example.com "
                        "https://most.example.com:8443");
    assert_string_equal(text_of(config, "platform", "profile"), "partner");
    assert_string_equal(text_of(config, "platform", "threshold"), "5min");
    assert_null(text_of(config, "platform", "proxy"));
    assert_string_equal(text_of(config, "store", "tokens") + 7, path_of("tokens.db", path));
    assert_null(text_of(config, "store", "secrets"));
    assert_string_equal(text_of(config, "session billing", "username"), "svc = billing#1");
    assert_string_equal(text_of(config, "session billing", "allow"),
                        "uid:billing read report\ngid:12 admin");
    assert_string_equal(text_of(config, "session billing", "on_demand"), "yes");
    assert_string_equal(text_of(config, "session a", "on_demand"), "no");
    assert_string_equal(text_of(config, "keeper", "log_level"), "info");
    assert_null(text_of(config, "platform", "nonsense"));
    assert_null(fsh_config_section(config, "session c"));
    assert_null(fsh_config_section(config, "nonsense"));
    assert_int_equal(config->session_count, 2);
    assert_string_equal(config->sessions[0].name, "billing");
    fsh_config_free(config);
}

static void the_nearest_session_is_found(void **state)
{
    struct fsh_config *config;
    char name[200];

    (void)state;
    write_file("c.conf", URL "[session billing]\n[session payroll]\n[session x]\n");
    config = load("c.conf");
    assert_string_equal(fsh_config_nearest_session(config, "biling"), "billing");
    assert_string_equal(fsh_config_nearest_session(config, "paryoll"), "payroll");
    assert_null(fsh_config_nearest_session(config, "y"));
    assert_null(fsh_config_nearest_session(config, ""));
    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    assert_null(fsh_config_nearest_session(config, name));
    fsh_config_free(config);
}

/* ---- includes ---------------------------------------------------------------------------- */

static void includes_are_read_in_order(void **state)
{
    struct fsh_config *config;

    (void)state;
    write_file("c.conf", "include = more.conf\ninclude = none.d/*.conf\n" URL
                         "include = part-*.conf\norigins = https://a.example.com\n");
    write_file("more.conf", "[session one]\n");
    write_file("part-2.conf", "[session three]\n");
    write_file("part-1.conf", "[session two]\n[platform]\norigins = https://b.example.com\n");
    config = load("c.conf");
    assert_int_equal(config->session_count, 3);
    assert_string_equal(config->sessions[0].name, "one");
    assert_string_equal(config->sessions[1].name, "two");
    assert_string_equal(config->sessions[2].name, "three");
    assert_string_equal(text_of(config, "platform", "origins"),
                        "https://a.example.com https://b.example.com");
    fsh_config_free(config);
    write_file("part-2.conf", "\ncolour = x\n");
    refused("c.conf", FRESHET_ECONFIG,
            "D/part-2.conf:2: there is no key \"colour\" before the first section; write [SECTION] "
            "above it");
    write_file("part-2.conf", "[session one]\n");
    refused("c.conf", FRESHET_ECONFIG,
            "D/part-2.conf:1: [session one] stands twice; first in D/more.conf:1");
    remove_file("part-1.conf");
    remove_file("part-2.conf");
    remove_file("more.conf");
    refused("c.conf", FRESHET_ECONFIG,
            "D/c.conf:1: D/more.conf cannot be read: No such file or directory");
}

static void includes_end(void **state)
{
    struct fsh_config *config;
    char name[16];
    char text[32];

    (void)state;
    write_file("c.conf", URL "include = b.conf\n");
    write_file("b.conf", "include = ./c.conf\n");
    refused("c.conf", FRESHET_ECONFIG, "D/b.conf:1: D/./c.conf includes itself");
    write_file("b.conf", "include = *.conf\n");
    refused("c.conf", FRESHET_ECONFIG, "D/b.conf:1: D/b.conf includes itself");
    for (int i = 0; i < 9; i++) {
        (void)snprintf(name, sizeof(name), "n%d", i);
        (void)snprintf(text, sizeof(text), "include = n%d\n", i + 1);
        write_file(name, text);
    }
    write_file("c.conf", URL "include = n1\n");
    refused("c.conf", FRESHET_ECONFIG, "D/n8:1: more than 8 files include one another");
    write_file("n8", "[session last]\n");
    config = load("c.conf");
    assert_int_equal(config->session_count, 1);
    fsh_config_free(config);
    for (int i = 0; i < 9; i++) {
        (void)snprintf(name, sizeof(name), "n%d", i);
        remove_file(name);
    }
    remove_file("b.conf");
}

/* ---- files ------------------------------------------------------------------------------- */

static void odd_files_are_refused(void **state)
{
    char path[128];

    (void)state;
    refused("none.conf", FRESHET_ECONFIG, "D/none.conf: cannot be read: No such file or directory");
    refused(".", FRESHET_ECONFIG, "D/.: is not a regular file");
    assert_int_equal(mkfifo(path_of("fifo", path), 0600), 0);
    refused("fifo", FRESHET_ECONFIG, "D/fifo: is not a regular file");
    remove_file("fifo");
    write_bytes("c.conf", URL "\n# \0\n", strlen(URL) + 5);
    refused("c.conf", FRESHET_ECONFIG,
            "D/c.conf: has a NUL byte in line 4; write it as text in UTF-8");
    write_file("c.conf", URL);
    assert_int_equal(chmod(path_of("c.conf", path), 0646), 0);
    refused("c.conf", FRESHET_ECONFIG, "D/c.conf: may be written by everybody; chmod o-w it");
    if (geteuid() != 0) {
        assert_int_equal(chmod(path, 0), 0);
        refused("c.conf", FRESHET_ECONFIG, "D/c.conf: cannot be read: Permission denied");
        assert_int_equal(chmod(path, 0600), 0);
    }
}

/* ---- bounds ------------------------------------------------------------------------------ */

static void long_lines_are_refused_and_not_cut(void **state)
{
    char text[512];
    struct fsh_config *config;

    (void)state;
    /* As long as it may be. */
    (void)snprintf(text, sizeof(text), URL "[session a]\nusername = %0187d\n", 0);
    write_file("c.conf", text);
    config = load("c.conf");
    assert_int_equal(strlen(text_of(config, "session a", "username")), 187);
    fsh_config_free(config);
    (void)snprintf(text, sizeof(text), URL "[session a]\nusername = %0188d\n", 0);
    write_file("c.conf", text);
    refused("c.conf", FRESHET_ECONFIG, "D/c.conf:4: the line is longer than 198 bytes");
    (void)snprintf(text, sizeof(text), URL "# %0300d\n[session a]\n", 0);
    write_file("c.conf", text);
    config = load("c.conf");
    fsh_config_free(config);
}

static void long_names_are_whole(void **state)
{
    char text[512];
    char heading[256];
    struct fsh_config *config;

    (void)state;
    (void)snprintf(heading, sizeof(heading), "session %0128d", 0);
    (void)snprintf(text, sizeof(text), URL "[%s]\nusername = x\n", heading);
    write_file("c.conf", text);
    config = load("c.conf");
    assert_string_equal(text_of(config, heading, "username"), "x");
    fsh_config_free(config);
    (void)snprintf(text, sizeof(text), "[session %0129d]\n", 0);
    write_file("c.conf", text);
    refused("c.conf", FRESHET_ECONFIG, "D/c.conf:1: a session's name has at most 128 bytes");
    (void)snprintf(text, sizeof(text), "[session %0200d]\n", 0);
    write_file("c.conf", text);
    refused("c.conf", FRESHET_ECONFIG, "D/c.conf:1: a heading has at most 142 bytes");
}

static void there_may_be_many_sessions_but_not_more(void **state)
{
    char path[128];
    FILE *file;
    struct fsh_config *config;

    (void)state;
    file = fopen(path_of("c.conf", path), "we");
    assert_non_null(file);
    (void)fputs(URL, file);
    for (int i = 0; i < FSH_CONFIG_SESSIONS_MAX; i++)
        (void)fprintf(file, "[session s%d]\nusername = u%d\n", i, i);
    (void)fclose(file);
    config = load("c.conf");
    assert_int_equal(config->session_count, 10000);
    assert_string_equal(text_of(config, "session s9999", "username"), "u9999");
    fsh_config_free(config);
    file = fopen(path, "ae");
    assert_non_null(file);
    (void)fputs("[session more]\n", file);
    (void)fclose(file);
    refused("c.conf", FRESHET_ECONFIG, "D/c.conf:20003: more than 10000 sessions");
}

static void a_file_has_a_size(void **state)
{
    char path[128];
    struct fsh_config *config;
    FILE *file;

    (void)state;
    file = fopen(path_of("c.conf", path), "we");
    assert_non_null(file);
    (void)fputs(URL, file);
    for (size_t i = strlen(URL); i < 1024 * 1024; i++)
        (void)fputc('\n', file);
    (void)fclose(file);
    config = load("c.conf");
    fsh_config_free(config);
    file = fopen(path, "ae");
    assert_non_null(file);
    (void)fputc('\n', file);
    (void)fclose(file);
    refused("c.conf", FRESHET_ECONFIG, "D/c.conf: is larger than 1 MiB");
}

static void a_key_is_repeated_so_often(void **state)
{
    char text[8192] = URL "[session a]\n";
    struct fsh_config *config;

    (void)state;
    for (int i = 0; i < FSH_CONFIG_MANY_MAX; i++)
        (void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "allow = uid:%d read\n",
                       i);
    write_file("c.conf", text);
    config = load("c.conf");
    fsh_config_free(config);
    (void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "allow = uid:x read\n");
    write_file("c.conf", text);
    refused("c.conf", FRESHET_ECONFIG, "D/c.conf:68: allow stands more than 64 times");
}

/* ---- every problem ----------------------------------------------------------------------- */

struct told {
    size_t count;
    char text[8][512];
};

static void tell(void *data, const char *text)
{
    struct told *told = data;

    if (told->count < 8)
        anonymous(text, told->text[told->count]);
    told->count++;
}

static void every_problem_is_told(void **state)
{
    struct told told = {0};
    struct fsh_config *config = NULL;
    struct freshet_error error = {0};
    char path[128];
    char text[2048] = "";

    (void)state;
    write_file("c.conf", "[platfrom]\nnot = looked at\n[platform]\nur = x\nthreshold = x\n");
    assert_int_equal(fsh_config_load(path_of("c.conf", path), tell, &told, &config, &error),
                     FRESHET_ECONFIG);
    assert_null(config);
    assert_int_equal(told.count, 4);
    assert_string_equal(told.text[0],
                        "D/c.conf:1: there is no section [platfrom]; did you mean [platform]?");
    assert_string_equal(told.text[1],
                        "D/c.conf:4: [platform] has no key \"ur\"; did you mean \"url\"?");
    assert_string_equal(told.text[2], "D/c.conf:5: threshold expects a duration such as 300, "
                                      "500ms, 30s, 5min or 12h, at most 366d");
    assert_string_equal(told.text[3], "D/c.conf:3: [platform] needs the key url");
    /* The error has the first. */
    anonymous(error.message, text);
    assert_string_equal(text, told.text[0]);

    text[0] = '\0';
    for (int i = 0; i < 200; i++)
        (void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "[x]\n");
    write_file("c.conf", text);
    told.count = 0;
    assert_int_equal(fsh_config_load(path, tell, &told, &config, NULL), FRESHET_ECONFIG);
    assert_int_equal(told.count, FSH_CONFIG_PROBLEMS_MAX);
}

static void long_paths_are_cut_in_messages(void **state)
{
    char text[128];
    char path[300];

    (void)state;
    (void)snprintf(path, sizeof(path), "/%0200d/c.conf", 0);
    (void)fsh_config_short(path, text);
    assert_int_equal(strlen(text), 99);
    assert_memory_equal(text, "...0", 4);
    assert_string_equal(text + 92, "/c.conf");
}

static int setup(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    remove_file("c.conf");
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_wrong_line_is_named),
        cmocka_unit_test(values_are_what_they_must_be),
        cmocka_unit_test(a_file_may_be_a_credential),
        cmocka_unit_test(a_socket_has_room_in_its_address),
        cmocka_unit_test(durations_have_units),
        cmocka_unit_test(a_wrong_value_is_told_what_is_expected),
        cmocka_unit_test(a_file_says_what_it_says),
        cmocka_unit_test(the_nearest_session_is_found),
        cmocka_unit_test(includes_are_read_in_order),
        cmocka_unit_test(includes_end),
        cmocka_unit_test(odd_files_are_refused),
        cmocka_unit_test(long_lines_are_refused_and_not_cut),
        cmocka_unit_test(long_names_are_whole),
        cmocka_unit_test(there_may_be_many_sessions_but_not_more),
        cmocka_unit_test(a_file_has_a_size),
        cmocka_unit_test(a_key_is_repeated_so_often),
        cmocka_unit_test(every_problem_is_told),
        cmocka_unit_test(long_paths_are_cut_in_messages),
    };

    return cmocka_run_group_tests_name("config", tests, setup, teardown);
}
