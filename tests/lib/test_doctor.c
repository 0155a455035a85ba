/* SPDX-License-Identifier: Apache-2.0 */

/* What the doctor says when all is well, and of each thing that is broken; and the configuration as
 * the public header gives it. */

#include "certificate.h"
#include "lib.h"

#include <fcntl.h>
#include <freshet/admin.h>
#include <freshet/config.h>
#include <ftw.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* A folder with a configuration that is as it should be, and a platform that answers. */
struct ward {
    struct devserver server;
    char folder[64];
};

static const char *in(const struct ward *ward, const char *name, char ret_path[128])
{
    (void)snprintf(ret_path, 128, "%s/%s", ward->folder, name);
    return ret_path;
}

static void write_file(const struct ward *ward, const char *name, const char *text, mode_t mode)
{
    char path[128];
    FILE *file = fopen(in(ward, name, path), "we");

    assert_non_null(file);
    (void)fputs(text, file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static void write_config(const struct ward *ward, const char *platform, const char *more)
{
    char text[2048];

    (void)snprintf(text, sizeof(text),
                   "[platform]\nurl = %s\n%s\n"
                   "[store]\nsecrets = sqlite:secrets.db\ntokens = sqlite:tokens.db\n"
                   "key_file = store.key\n"
                   "[session billing]\nusername = svc-demo\npassword_file = password\n"
                   "allow = uid:0 read\n",
                   platform, more);
    write_file(ward, "freshet.conf", text, 0640);
}

static int make_ward(void **state)
{
    struct ward *ward = calloc(1, sizeof(*ward));
    struct rlimit none = {0};
    char path[128];

    assert_non_null(ward);
    /* As the command line does it for itself. */
    (void)getrlimit(RLIMIT_CORE, &none);
    none.rlim_cur = 0;
    (void)setrlimit(RLIMIT_CORE, &none);
    devserver_start(&ward->server, "http", NULL);
    (void)snprintf(ward->folder, sizeof(ward->folder), P_tmpdir "/freshet-doctor-XXXXXX");
    assert_non_null(mkdtemp(ward->folder));
    write_file(ward, "password", DEV_PASSWORD "\n", 0600);
    assert_int_equal(freshet_key_new(in(ward, "store.key", path), NULL), FRESHET_OK);
    write_config(ward, ward->server.dev.url, "");
    *state = ward;
    return 0;
}

static int remove_one(const char *path, const struct stat *about, int kind, struct FTW *where)
{
    (void)about;
    (void)kind;
    (void)where;
    return remove(path);
}

static int drop_ward(void **state)
{
    struct ward *ward = *state;

    devserver_stop(&ward->server);
    assert_int_equal(chmod(ward->folder, 0700), 0);
    assert_int_equal(nftw(ward->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
    free(ward);
    return 0;
}

static struct freshet_config *load(const struct ward *ward)
{
    struct freshet_config *config = NULL;
    struct freshet_error error = {0};
    char path[128];

    if (freshet_config_load(in(ward, "freshet.conf", path), &config, &error) != FRESHET_OK)
        fail_msg("%s", error.message);
    return config;
}

/* ---- findings ---------------------------------------------------------------------------- */

struct findings {
    size_t count;
    struct {
        char check[16];
        enum freshet_health health;
        char text[512];
    } list[32];
};

static void found(void *data, const char *check, enum freshet_health health, const char *text)
{
    struct findings *findings = data;

    assert_true(findings->count < 32);
    (void)snprintf(findings->list[findings->count].check, 16, "%s", check);
    findings->list[findings->count].health = health;
    (void)snprintf(findings->list[findings->count].text, 512, "%s", text);
    findings->count++;
}

static int examine(const struct ward *ward, struct findings *ret_findings,
                   struct freshet_error *error)
{
    struct freshet_config *config = load(ward);
    struct freshet_options options;
    int status;

    ret_findings->count = 0;
    freshet_config_options(config, &options);
    status = freshet_doctor(config, &options, found, ret_findings, error);
    freshet_config_free(config);
    return status;
}

static bool has(const struct findings *findings, const char *check, enum freshet_health health,
                const char *part)
{
    for (size_t i = 0; i < findings->count; i++) {
        if (strcmp(findings->list[i].check, check) == 0 && findings->list[i].health == health &&
            strstr(findings->list[i].text, part))
            return true;
    }
    return false;
}

static void print(const struct findings *findings)
{
    for (size_t i = 0; i < findings->count; i++)
        print_message("%d %s: %s\n", findings->list[i].health, findings->list[i].check,
                      findings->list[i].text);
}

/* That one thing is told, and nothing else is bad; returns what freshet_doctor does. */
static void told(const struct ward *ward, int status, const char *check, enum freshet_health health,
                 const char *part)
{
    struct findings findings = {0};
    struct freshet_error error = {0};
    int is = examine(ward, &findings, &error);
    size_t others = 0;

    for (size_t i = 0; i < findings.count; i++)
        others += findings.list[i].health != FRESHET_HEALTH_OK;
    if (!has(&findings, check, health, part) || is != status || others != 1) {
        print(&findings);
        fail_msg("%d, %zu troubles; expected %d %s: %s", is, others, status, check, part);
    }
    if (status != FRESHET_OK) {
        assert_int_equal(error.status, status);
        assert_non_null(strstr(error.message, part));
    }
}

#define OK      FRESHET_HEALTH_OK
#define WARNING FRESHET_HEALTH_WARNING
#define BAD     FRESHET_HEALTH_BAD

/* ---- all is well ------------------------------------------------------------------------- */

/* A signed-in session in the stores of the configuration. */
static void use_stores(const struct ward *ward)
{
    struct freshet_config *config = load(ward);
    struct freshet_options options;
    struct freshet_session_options session_options;
    struct freshet *freshet = NULL;
    struct freshet_session *session = NULL;
    struct freshet_error error = {0};

    freshet_config_options(config, &options);
    if (freshet_open(&options, &freshet, &error) != FRESHET_OK)
        fail_msg("%s", error.message);
    assert_int_equal(freshet_config_session(config, "billing", &session_options, NULL), FRESHET_OK);
    assert_int_equal(session_options.kind, FRESHET_SERVICE);
    assert_int_equal(freshet_session_open(freshet, "billing", &session_options, &session, NULL), 0);
    if (freshet_ensure_fresh(session, NULL, NULL, &error) != FRESHET_OK)
        fail_msg("%s", error.message);
    freshet_close(freshet);
    freshet_config_free(config);
}

static void what_is_well_is_said_to_be(void **state)
{
    static const struct {
        const char *check;
        const char *part;
    } rows[] = {
        {"config", "freshet.conf says what it must; 1 session"},
        {"permissions", "1 configuration file, 1 password file and all folders are safe"},
        {"key", "store.key opens; key "},
        {"store", "secrets.db is sound; 1 record, version "},
        {"store", "tokens.db is sound; 1 record, version "},
        {"clock", "runs through suspend, and the boot has an id"},
        {"clock", "agrees with the platform's within 30 s"},
        {"limits", ""},
        {"platform", " answers 404 from 127.0.0.1 in "},
    };
    const struct ward *ward = *state;
    struct findings findings = {0};

    use_stores(ward);
    assert_int_equal(examine(ward, &findings, NULL), FRESHET_OK);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (!has(&findings, rows[i].check, OK, rows[i].part)) {
            print(&findings);
            fail_msg("no %s: %s", rows[i].check, rows[i].part);
        }
    }
}

static void stores_that_are_not_there_yet_are_no_fault(void **state)
{
    const struct ward *ward = *state;
    struct findings findings = {0};
    char path[128];

    assert_int_equal(examine(ward, &findings, NULL), FRESHET_OK);
    assert_true(has(&findings, "store", OK, "secrets.db is not there yet; the first use makes it"));
    /* Nor does the look make them. */
    assert_int_not_equal(access(in(ward, "secrets.db", path), F_OK), 0);
    assert_int_not_equal(access(in(ward, "tokens.db", path), F_OK), 0);
}

static int folder_of(const struct ward *ward, char *ret_names, size_t size)
{
    char command[160];
    FILE *pipe;
    size_t len;

    (void)snprintf(command, sizeof(command), "cd %s && stat -c '%%n %%s %%a %%Y' *", ward->folder);
    pipe = popen(command, "re"); /* NOLINT(cert-env33-c): a test's own folder */
    assert_non_null(pipe);
    len = fread(ret_names, 1, size - 1, pipe);
    ret_names[len] = '\0';
    return pclose(pipe);
}

static void a_look_changes_nothing(void **state)
{
    const struct ward *ward = *state;
    struct findings findings = {0};
    char before[2048];
    char after[2048];

    use_stores(ward);
    assert_int_equal(folder_of(ward, before, sizeof(before)), 0);
    assert_int_equal(examine(ward, &findings, NULL), FRESHET_OK);
    assert_int_equal(folder_of(ward, after, sizeof(after)), 0);
    assert_string_equal(before, after);
}

/* A database that others have open is looked at with its log. */
static void a_store_in_use_is_looked_at(void **state)
{
    const struct ward *ward = *state;
    struct freshet_config *config = load(ward);
    struct freshet_options options;
    struct freshet_session_options session_options;
    struct freshet *freshet = NULL;
    struct freshet_session *session = NULL;
    struct findings findings = {0};

    freshet_config_options(config, &options);
    assert_int_equal(freshet_open(&options, &freshet, NULL), FRESHET_OK);
    assert_int_equal(freshet_config_session(config, "billing", &session_options, NULL), FRESHET_OK);
    assert_int_equal(freshet_session_open(freshet, "billing", &session_options, &session, NULL), 0);
    assert_int_equal(freshet_ensure_fresh(session, NULL, NULL, NULL), FRESHET_OK);
    assert_int_equal(examine(ward, &findings, NULL), FRESHET_OK);
    assert_true(has(&findings, "store", OK, "secrets.db is sound; 1 record"));
    freshet_close(freshet);
    freshet_config_free(config);
}

/* ---- configuration and permissions ------------------------------------------------------- */

static void an_unknown_profile_is_told(void **state)
{
    const struct ward *ward = *state;

    write_config(ward, ward->server.dev.url, "profile = nonsense");
    told(ward, FRESHET_ECONFIG, "config", BAD, "profile nonsense is unknown; there are: partner");
}

static void an_unknown_user_is_told(void **state)
{
    const struct ward *ward = *state;

    write_config(ward, ward->server.dev.url,
                 "[session x]\nallow = uid:0 read\nallow = uid:nobody-of-that-name admin");
    told(ward, FRESHET_OK, "config", WARNING,
         "[session x] allows the user nobody-of-that-name, whom this machine does not know");
}

static const struct {
    const char *file;
    mode_t mode;
    int status;
    const char *check;
    enum freshet_health health;
    const char *part;
} modes[] = {
    {"freshet.conf", 0660, FRESHET_OK, "permissions", WARNING,
     "the group may change the configuration file; chmod g-w /"},
    {"password", 0604, FRESHET_ECONFIG, "permissions", BAD,
     "[session billing] everybody may open the password; chmod 600 /"},
    {"password", 0640, FRESHET_OK, "permissions", WARNING,
     "[session billing] the group may open the password; chmod 600 /"},
    {"store.key", 0644, FRESHET_ECONFIG, "key", BAD, "others may read or write the key file /"},
    {"secrets.db", 0640, FRESHET_ECONFIG, "store", BAD,
     "secrets: others may open the store; chmod"},
    {"tokens.db", 0644, FRESHET_ECONFIG, "store", BAD, "tokens: others may open the store; chmod"},
};

static void files_that_others_may_open_are_told(void **state)
{
    const struct ward *ward = *state;
    char path[128];
    struct stat about;

    use_stores(ward);
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        assert_int_equal(stat(in(ward, modes[i].file, path), &about), 0);
        assert_int_equal(chmod(path, modes[i].mode), 0);
        told(ward, modes[i].status, modes[i].check, modes[i].health, modes[i].part);
        assert_int_equal(chmod(path, about.st_mode & 0777), 0);
    }
}

static void a_credential_of_systemds_is_no_fault(void **state)
{
    const struct ward *ward = *state;
    struct findings findings = {0};
    char path[128];

    if (geteuid() != 0) /* only root's files are such */
        return;
    assert_int_equal(chmod(in(ward, "password", path), 0440), 0);
    assert_int_equal(chmod(in(ward, "store.key", path), 0440), 0);
    assert_int_equal(examine(ward, &findings, NULL), FRESHET_OK);
    assert_true(has(&findings, "permissions", OK, "all folders are safe"));
}

static void a_folder_that_others_may_write_to_is_told(void **state)
{
    const struct ward *ward = *state;
    struct findings findings = {0};

    assert_int_equal(chmod(ward->folder, 0777), 0);
    assert_int_equal(examine(ward, &findings, NULL), FRESHET_ECONFIG);
    assert_true(has(&findings, "permissions", BAD,
                    "secrets: everybody may replace the files in its folder; chmod o-w /"));
    assert_true(has(&findings, "permissions", BAD, "key file: everybody may replace"));
    assert_true(has(&findings, "permissions", BAD, "password: everybody may replace"));
    assert_true(has(&findings, "permissions", BAD, "configuration: everybody may replace"));
    assert_int_equal(chmod(ward->folder, 0770), 0);
    assert_int_equal(examine(ward, &findings, NULL), FRESHET_OK);
    assert_true(has(&findings, "permissions", WARNING,
                    "tokens: others may make files in its folder; chmod go-w /"));
}

static void passwords_that_are_of_no_use_are_told(void **state)
{
    const struct ward *ward = *state;
    char path[128];

    write_file(ward, "password", "\n", 0600);
    told(ward, FRESHET_ECONFIG, "permissions", BAD, "password is empty");
    assert_int_equal(unlink(in(ward, "password", path)), 0);
    told(ward, FRESHET_ECONFIG, "permissions", BAD,
         "password cannot be read: No such file or directory");
}

/* ---- keys and stores --------------------------------------------------------------------- */

static void a_key_file_that_is_none_is_told(void **state)
{
    const struct ward *ward = *state;
    char path[128];

    write_file(ward, "store.key", "nonsense\n", 0600);
    told(ward, FRESHET_ECONFIG, "key", BAD, "store.key is no key file: ");
    assert_int_equal(unlink(in(ward, "store.key", path)), 0);
    told(ward, FRESHET_ECONFIG, "key", BAD, "make one with `freshet key new FILE`");
}

static void a_key_that_is_missing_is_told(void **state)
{
    const struct ward *ward = *state;
    struct findings findings = {0};
    char path[128];

    use_stores(ward);
    assert_int_equal(unlink(in(ward, "store.key", path)), 0);
    assert_int_equal(freshet_key_new(path, NULL), FRESHET_OK);
    assert_int_equal(examine(ward, &findings, NULL), FRESHET_ESTORE);
    assert_true(has(&findings, "key", BAD, "seals 1 of the secrets and is not in "));
    assert_true(has(&findings, "key", BAD, "seals 1 of the tokens and is not in "));
}

static void a_key_that_was_rotated_is_no_fault(void **state)
{
    const struct ward *ward = *state;
    struct freshet_config *config = load(ward);
    struct freshet_options options;
    struct findings findings = {0};

    use_stores(ward);
    freshet_config_options(config, &options);
    assert_int_equal(freshet_key_rotate(&options, NULL, NULL, NULL), FRESHET_OK);
    freshet_config_free(config);
    assert_int_equal(examine(ward, &findings, NULL), FRESHET_OK);
}

static void stores_that_are_of_no_use_are_told(void **state)
{
    const struct ward *ward = *state;
    char path[128];
    sqlite3 *db = NULL;
    int fd;

    use_stores(ward);
    /* Another version's, */
    assert_int_equal(sqlite3_open(in(ward, "tokens.db", path), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "PRAGMA user_version=99", NULL, NULL, NULL), SQLITE_OK);
    (void)sqlite3_close(db);
    told(ward, FRESHET_ESTORE, "store", BAD,
         "tokens: written by a newer version of Freshet; update this one: ");
    /* the other store's, */
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(db, "PRAGMA user_version=1; PRAGMA application_id=7", NULL, NULL, NULL),
        SQLITE_OK);
    (void)sqlite3_close(db);
    told(ward, FRESHET_ECONFIG, "store", BAD,
         "tokens: no file of Freshet's tokens; name another: ");
    /* a damaged one: its first page says what it is, the others are gone, */
    fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "nonsense", 8, 0), 8);
    (void)close(fd);
    told(ward, FRESHET_ESTORE, "store", BAD, "tokens: damaged; bring back a copy, or move it away");
    /* and what is no file. */
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    told(ward, FRESHET_ECONFIG, "store", BAD,
         "tokens: a store is a plain file, not a link, a folder or a device: ");
}

static void pages_that_are_damaged_are_told(void **state)
{
    const struct ward *ward = *state;
    char path[128];
    char page[4096];
    struct stat about;
    int fd;

    use_stores(ward);
    fd = open(in(ward, "secrets.db", path), O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &about), 0);
    assert_true(about.st_size > 4096);
    memset(page, 0xff, sizeof(page));
    assert_int_equal(pwrite(fd, page, sizeof(page), about.st_size - 4096), sizeof(page));
    (void)close(fd);
    told(ward, FRESHET_ESTORE, "store", BAD, "secrets: damaged");
}

static void a_folder_that_is_missing_is_told(void **state)
{
    struct ward *ward = *state;
    struct freshet_options options = FRESHET_OPTIONS_INIT;
    struct findings findings = {0};
    char path[128];
    char secrets[160];

    (void)snprintf(secrets, sizeof(secrets), "sqlite:%s/none/secrets.db", ward->folder);
    options.url = ward->server.dev.url;
    options.secrets = secrets;
    options.key_file = in(ward, "store.key", path);
    assert_int_equal(freshet_doctor(NULL, &options, found, &findings, NULL), FRESHET_ECONFIG);
    assert_true(has(&findings, "store", BAD, "secrets.db cannot be made (No such file or direc"));
    assert_true(has(&findings, "store", OK, "tokens: kept in memory, and gone with the program"));
    assert_true(has(&findings, "config", OK, "no file; the options say what they must"));
}

/* ---- limits ------------------------------------------------------------------------------ */

static const struct {
    int resource;
    rlim_t most;
    const char *part;
} limits[] = {
    {RLIMIT_NOFILE, 256, "only 256 files may be open at once"},
    {RLIMIT_MEMLOCK, 65536, "only 64 KiB may be locked in memory"},
};

static void limits_that_are_low_are_told(void **state)
{
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        struct rlimit before;
        struct rlimit now;

        assert_int_equal(getrlimit(limits[i].resource, &before), 0);
        now = before;
        now.rlim_cur = limits[i].most;
        assert_int_equal(setrlimit(limits[i].resource, &now), 0);
        told(*state, FRESHET_OK, "limits", WARNING, limits[i].part);
        assert_int_equal(setrlimit(limits[i].resource, &before), 0);
    }
}

/* ---- the platform ------------------------------------------------------------------------ */

static void a_platform_that_cannot_be_reached_is_told(void **state)
{
    const struct ward *ward = *state;
    char url[160];

    write_config(ward, "http://127.0.0.1:1", "");
    told(ward, FRESHET_EUNAVAILABLE, "platform", BAD,
         "nobody answers there; check url, the firewall and the proxy");
    /* A label has at most 63 bytes: no server of names is asked for this one. */
    (void)snprintf(url, sizeof(url), "https://%064d.example", 0);
    write_config(ward, url, "");
    told(ward, FRESHET_EUNAVAILABLE, "platform", BAD, "the name does not resolve; check url");
    (void)snprintf(url, sizeof(url), "https%s", ward->server.dev.url + strlen("http"));
    write_config(ward, url, "");
    told(ward, FRESHET_EUNAVAILABLE, "platform", BAD, "no TLS there; check the port");
}

static void a_platform_in_trouble_is_told(void **state)
{
    const struct ward *ward = *state;

    devserver_control(&ward->server, "POST", "/_dev/faults",
                      "{\"match\": \"/\", \"count\": 1, \"kind\": \"status\", \"status\": 503}");
    told(ward, FRESHET_OK, "platform", WARNING, " answers 503; it, or a proxy before it, is in");
    devserver_control(&ward->server, "POST", "/_dev/faults",
                      "{\"match\": \"/\", \"count\": 1, \"kind\": \"reset_before\"}");
    told(ward, FRESHET_EUNAVAILABLE, "platform", BAD, "check url, the network and the proxy (");
}

static void loopback_is_looked_at_without_a_proxy(void **state)
{
    const struct ward *ward = *state;
    struct findings findings = {0};

    write_config(ward, ward->server.dev.url, "proxy = http://127.0.0.1:1");
    assert_int_equal(setenv("http_proxy", "http://127.0.0.1:1", 1), 0);
    assert_int_equal(examine(ward, &findings, NULL), FRESHET_OK);
    (void)unsetenv("http_proxy");
    assert_true(has(&findings, "platform", OK, " answers 404 from 127.0.0.1"));
}

static void certificates_are_looked_at(void **state)
{
    const struct ward *ward = *state;
    struct certificate certificate;
    struct devserver server = {0};
    struct findings findings = {0};
    char ca_file[128];

    certificate_make(&certificate);
    const char *const arguments[] = {"--tls-cert", certificate.cert, "--tls-key", certificate.key,
                                     NULL};
    devserver_start(&server, "https", arguments);
    write_config(ward, server.dev.url, "");
    told(ward, FRESHET_EUNAVAILABLE, "platform", BAD,
         "its certificate is not trusted; name its CA as ca_file, or mend the certificate");
    write_config(ward, server.dev.url, "ca_file = none.pem");
    told(ward, FRESHET_ECONFIG, "platform", BAD,
         "ca_file cannot be used; name a readable PEM file");
    (void)snprintf(ca_file, sizeof(ca_file), "ca_file = %s", certificate.cert);
    write_config(ward, server.dev.url, ca_file);
    assert_int_equal(examine(ward, &findings, NULL), FRESHET_OK);
    assert_true(has(&findings, "platform", OK, " ms, TLS "));
    devserver_stop(&server);
    certificate_remove(&certificate);
}

/* ---- options ----------------------------------------------------------------------------- */

static void options_that_cannot_be_are_told(void **state)
{
    const struct ward *ward = *state;
    struct freshet_options options = FRESHET_OPTIONS_INIT;
    struct findings findings = {0};
    static const char *const origins[] = {"http://files.example.com", "nonsense"};

    assert_int_equal(freshet_doctor(NULL, &options, found, &findings, NULL), FRESHET_ECONFIG);
    assert_int_equal(findings.count, 0);
    options.url = ward->server.dev.url;
    options.origins = origins;
    options.origins_count = 2;
    options.tokens = "postgresql:x";
    assert_int_equal(freshet_doctor(NULL, &options, found, &findings, NULL), FRESHET_EINSECURE);
    assert_true(has(&findings, "config", BAD, "http://files.example.com: plain http to "));
    assert_true(has(&findings, "config", BAD, "nonsense: not an absolute URL"));
    assert_true(has(&findings, "store", BAD, "tokens: no such kind of store"));
    options.url = "nonsense";
    options.origins_count = 0;
    findings.count = 0;
    assert_int_equal(freshet_doctor(NULL, &options, found, &findings, NULL), FRESHET_EINVAL);
    assert_false(has(&findings, "platform", BAD, ""));
}

/* ---- the configuration ------------------------------------------------------------------- */

static void a_configuration_becomes_options(void **state)
{
    const struct ward *ward = *state;
    struct freshet_options options;
    struct freshet_session_options session;
    struct freshet_error error = {0};
    struct freshet_config *config;
    char path[128];

    write_file(ward, "freshet.conf",
               "[platform]\nurl = https://api.example.com\nthreshold = 2min\n"
               "origins = https://a.example.com, https://b.example.com\nproxy = proxy:3128\n"
               "[session billing]\nusername = svc\npassword_file = password\npartner_id = fd42\n"
               "first_party = yes\nthreshold = 90\nsign_in_pause = 1min\n"
               "[session ann]\nusername = ann\non_demand = yes\n",
               0600);
    config = load(ward);
    freshet_config_options(config, &options);
    assert_int_equal(options.size, sizeof(options));
    assert_string_equal(options.url, "https://api.example.com");
    assert_int_equal(options.threshold_ms, 120000);
    assert_int_equal(options.origins_count, 2);
    assert_string_equal(options.origins[0], "https://a.example.com");
    assert_string_equal(options.origins[1], "https://b.example.com");
    assert_string_equal(options.proxy, "proxy:3128");
    assert_string_equal(options.profile, "partner");
    assert_null(options.secrets);
    assert_null(options.key_file);
    assert_int_equal(freshet_config_session_count(config), 2);
    assert_string_equal(freshet_config_session_name(config, 1), "ann");
    assert_null(freshet_config_session_name(config, 2));

    assert_int_equal(freshet_config_session(config, "billing", &session, NULL), FRESHET_OK);
    assert_int_equal(session.size, sizeof(session));
    assert_int_equal(session.kind, FRESHET_SERVICE);
    assert_string_equal(session.username, "svc");
    assert_string_equal(session.password_file, in(ward, "password", path));
    assert_string_equal(session.partner_id, "fd42");
    assert_true(session.first_party);
    assert_false(session.on_demand);
    assert_int_equal(session.threshold_ms, 90000);
    assert_int_equal(session.sign_in_pause_ms, 60000);
    assert_int_equal(freshet_config_session(config, "ann", &session, NULL), FRESHET_OK);
    assert_int_equal(session.kind, FRESHET_INTERACTIVE);
    assert_true(session.on_demand);
    assert_int_equal(session.threshold_ms, 0);

    assert_int_equal(freshet_config_session(config, "biling", &session, &error),
                     FRESHET_ENOSESSION);
    assert_string_equal(error.message,
                        "no session biling in the configuration; did you mean billing?");
    assert_int_equal(freshet_config_session(config, "zebra", &session, &error), FRESHET_ENOSESSION);
    assert_string_equal(error.message,
                        "no session zebra in the configuration; add [session zebra]");
    assert_string_equal(freshet_config_get(config, "session ann", "sign_in_pause"), "30s");
    assert_null(freshet_config_get(config, "session zebra", "username"));
    assert_null(freshet_config_get(config, "nonsense", "username"));
    freshet_config_free(config);
    freshet_config_free(NULL);
}

static void count_problem(void *data, const char *text)
{
    assert_non_null(strstr(text, "freshet.conf:"));
    ++*(size_t *)data;
}

static void all_problems_of_a_configuration_are_told(void **state)
{
    const struct ward *ward = *state;
    struct freshet_error error = {0};
    size_t count = 0;
    char path[128];

    write_file(ward, "freshet.conf", "[platform]\nulr = x\n[stor]\n", 0600);
    assert_int_equal(
        freshet_config_check(in(ward, "freshet.conf", path), count_problem, &count, &error),
        FRESHET_ECONFIG);
    assert_int_equal(count, 3);
    assert_non_null(strstr(error.message, "freshet.conf:2: [platform] has no key \"ulr\""));
    write_config(ward, ward->server.dev.url, "");
    assert_int_equal(freshet_config_check(path, count_problem, &count, &error), FRESHET_OK);
    assert_int_equal(count, 3);
}

int main(void)
{
#define IN_WARD(test) cmocka_unit_test_setup_teardown(test, make_ward, drop_ward)
    const struct CMUnitTest tests[] = {
        IN_WARD(what_is_well_is_said_to_be),
        IN_WARD(stores_that_are_not_there_yet_are_no_fault),
        IN_WARD(a_look_changes_nothing),
        IN_WARD(a_store_in_use_is_looked_at),
        IN_WARD(an_unknown_profile_is_told),
        IN_WARD(an_unknown_user_is_told),
        IN_WARD(files_that_others_may_open_are_told),
        IN_WARD(a_credential_of_systemds_is_no_fault),
        IN_WARD(a_folder_that_others_may_write_to_is_told),
        IN_WARD(passwords_that_are_of_no_use_are_told),
        IN_WARD(a_key_file_that_is_none_is_told),
        IN_WARD(a_key_that_is_missing_is_told),
        IN_WARD(a_key_that_was_rotated_is_no_fault),
        IN_WARD(stores_that_are_of_no_use_are_told),
        IN_WARD(pages_that_are_damaged_are_told),
        IN_WARD(a_folder_that_is_missing_is_told),
        IN_WARD(limits_that_are_low_are_told),
        IN_WARD(a_platform_that_cannot_be_reached_is_told),
        IN_WARD(a_platform_in_trouble_is_told),
        IN_WARD(loopback_is_looked_at_without_a_proxy),
        IN_WARD(certificates_are_looked_at),
        IN_WARD(options_that_cannot_be_are_told),
        IN_WARD(a_configuration_becomes_options),
        IN_WARD(all_problems_of_a_configuration_are_told),
    };

    return cmocka_run_group_tests_name("doctor", tests, NULL, NULL);
}
