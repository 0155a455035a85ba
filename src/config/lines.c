/* SPDX-License-Identifier: Apache-2.0 */

/* Lines to sections and values. inih splits keys from values, and drops comments; what it would do
 * in silence, this does aloud: its lines are short, its names of sections shorter, an indented line
 * continues a value, and a line that it cannot read has no word but its number. See
 * docs/decisions/0013-configuration.md. */

#include "base/bounds.h"
#include "config/reading.h"
#include "config/value.h"

#include <freshet/status.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADING_MAX (FSH_NAME_MAX + 16)

/* Problem of the line at hand. */
#define wrong(reading, ...)                                                                        \
    fsh_config_problem(reading, (reading)->file, (reading)->line, __VA_ARGS__)

/* ---- headings ---------------------------------------------------------------------------- */

static struct fsh_config_section *session_new(struct fsh_config_reading *reading, const char *name)
{
    struct fsh_config *config = reading->config;
    struct fsh_config_section *session;
    size_t count;

    if (config->session_count == reading->session_room) {
        size_t room = reading->session_room ? reading->session_room * 2 : 8;
        void *longer = realloc(config->sessions, room * sizeof(*config->sessions));

        if (!longer)
            return NULL;
        config->sessions = longer;
        reading->session_room = room;
    }
    session = &config->sessions[config->session_count];
    (void)fsh_config_keys(FSH_CONFIG_SESSION, &count);
    *session = (struct fsh_config_section){
        .kind = FSH_CONFIG_SESSION,
        .name = strdup(name),
        .values = calloc(count, sizeof(*session->values)),
        .file = reading->file,
        .line = reading->line,
    };
    if (!session->name || !session->values) {
        free(session->name);
        free(session->values);
        return NULL;
    }
    config->session_count++;
    return session;
}

static void open_session(struct fsh_config_reading *reading, const char *name)
{
    size_t len = strlen(name);

    for (size_t i = 0; i < len; i++) {
        if (name[i] <= ' ' || name[i] > '~' || name[i] == '"') {
            wrong(reading, "a session's name is printable ASCII without spaces and quotes");
            return;
        }
    }
    if (len == 0)
        wrong(reading, "the session has no name: write [session NAME]");
    else if (len > FSH_NAME_MAX)
        wrong(reading, "a session's name has at most %d bytes", FSH_NAME_MAX);
    else if (reading->config->session_count == FSH_CONFIG_SESSIONS_MAX)
        wrong(reading, "more than %d sessions", FSH_CONFIG_SESSIONS_MAX);
    else {
        reading->section = session_new(reading, name);
        if (!reading->section)
            fsh_config_no_memory(reading);
    }
}

static void no_section(struct fsh_config_reading *reading, const char *name)
{
    const char *names[FSH_CONFIG_KINDS];
    const char *near;
    size_t count = 0;

    for (int kind = FSH_CONFIG_PLATFORM; kind < FSH_CONFIG_KINDS; kind++)
        names[count++] = kind == FSH_CONFIG_SESSION ? "session" : fsh_config_heading(kind);
    near = fsh_config_nearest(name, names, count);
    if (near)
        wrong(reading, "there is no section [%.40s]; did you mean [%s%s]?", name, near,
              strcmp(near, "session") == 0 ? " NAME" : "");
    else
        wrong(reading,
              "there is no section [%.40s]; there are [platform], [store], [keeper], "
              "[session NAME] and [browser]",
              name);
}

/* `inside` is what stands between the brackets. */
static void open_section(struct fsh_config_reading *reading, char *inside)
{
    char *name = inside + strspn(inside, " \t");
    size_t len = strlen(name);

    while (len > 0 && (name[len - 1] == ' ' || name[len - 1] == '\t'))
        name[--len] = '\0';
    len = strcspn(name, " \t");
    if (len == strlen("session") && strncmp(name, "session", len) == 0) {
        open_session(reading, name + len + strspn(name + len, " \t"));
        return;
    }
    for (int kind = FSH_CONFIG_PLATFORM; kind < FSH_CONFIG_KINDS; kind++) {
        if (kind != FSH_CONFIG_SESSION && strcmp(name, fsh_config_heading(kind)) == 0)
            reading->section = &reading->config->fixed[kind];
    }
    if (!reading->section)
        no_section(reading, name);
    else if (reading->section->line == 0) {
        reading->section->file = reading->file;
        reading->section->line = reading->line;
    }
}

static void heading(struct fsh_config_reading *reading, const char *line, size_t len)
{
    char inside[HEADING_MAX];
    const char *end = memchr(line, ']', len);
    const char *rest = end ? end + 1 : NULL;

    reading->section = NULL;
    while (rest && rest < line + len && (*rest == ' ' || *rest == '\t'))
        rest++;
    if (!end || (rest < line + len && *rest != ';' && *rest != '#'))
        wrong(reading, "a heading is a line of its own: [SECTION]");
    else if (end - line > (ptrdiff_t)sizeof(inside) - 1)
        wrong(reading, "a heading has at most %d bytes", HEADING_MAX - 2);
    else {
        (void)snprintf(inside, sizeof(inside), "%.*s", (int)(end - line - 1), line + 1);
        open_section(reading, inside);
    }
    reading->lost = !reading->section;
}

/* ---- keys -------------------------------------------------------------------------------- */

static bool sounds_secret(const char *name)
{
    static const char *const words[] = {"passw", "secret", "token", "passphrase", "credential"};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcasestr(name, words[i]))
            return true;
    }
    return false;
}

/* Another section that has the key, or FSH_CONFIG_ANY. */
static enum fsh_config_kind owner(const char *name)
{
    for (int kind = FSH_CONFIG_PLATFORM; kind < FSH_CONFIG_KINDS; kind++) {
        if (fsh_config_key(kind, name))
            return kind;
    }
    return FSH_CONFIG_ANY;
}

static const char *near_key(enum fsh_config_kind kind, const char *name)
{
    const char *names[32];
    size_t count;
    const struct fsh_config_key *keys = fsh_config_keys(kind, &count);

    for (size_t i = 0; i < count; i++)
        names[i] = keys[i].name;
    names[count] = "include";
    return fsh_config_nearest(name, names, count + 1);
}

static void list_keys(struct fsh_config_reading *reading, const char *name)
{
    char list[160] = "";
    size_t at = 0;
    size_t count;
    const struct fsh_config_key *keys = fsh_config_keys(reading->section->kind, &count);

    for (size_t i = 0; i < count && at < sizeof(list); i++)
        at += (size_t)snprintf(list + at, sizeof(list) - at, "%s%s", i ? ", " : "", keys[i].name);
    wrong(reading, "[%s] has no key \"%.40s\"; it has %s",
          fsh_config_heading(reading->section->kind), name, list);
}

static void no_key(struct fsh_config_reading *reading, const char *name)
{
    enum fsh_config_kind here = reading->section->kind;
    enum fsh_config_kind there = owner(name);
    const char *near = near_key(here, name);

    if (name[0] == '\0')
        wrong(reading, "there is no key before the =");
    else if (there != FSH_CONFIG_ANY)
        wrong(reading, "[%s] has no key \"%s\"; it belongs to [%s]", fsh_config_heading(here), name,
              fsh_config_heading(there));
    else if (near)
        wrong(reading, "[%s] has no key \"%.40s\"; did you mean \"%s\"?", fsh_config_heading(here),
              name, near);
    else if (sounds_secret(name))
        wrong(reading,
              "secrets are never in this file; put the password into a file of mode 0600 and name "
              "it with password_file, instead of \"%.40s\"",
              name);
    else
        list_keys(reading, name);
}

/* Appends a further value of a list to what is there. */
static int add_value(struct fsh_config_value *value, const struct fsh_config_key *key, char *text)
{
    char *both;

    if (!value->text) {
        value->text = text;
        return FRESHET_OK;
    }
    if (asprintf(&both, "%s%c%s", value->text, key->type == FSH_CONFIG_TYPE_PERMISSION ? '\n' : ' ',
                 text) < 0)
        return FRESHET_ENOMEM;
    free(text);
    free(value->text);
    value->text = both;
    return FRESHET_OK;
}

static void set_value(struct fsh_config_reading *reading, struct fsh_config_value *value,
                      const struct fsh_config_key *key, char *text)
{
    char place[160];

    if (value->text && key->times != FSH_CONFIG_MANY) {
        wrong(reading, "%s stands twice; first in %s", key->name,
              fsh_config_place(reading, value->file, value->line, place));
        free(text);
        return;
    }
    if (value->times == FSH_CONFIG_MANY_MAX) {
        wrong(reading, "%s stands more than %d times", key->name, FSH_CONFIG_MANY_MAX);
        free(text);
        return;
    }
    if (value->times++ == 0) {
        value->file = reading->file;
        value->line = reading->line;
    }
    if (add_value(value, key, text) != FRESHET_OK) {
        free(text);
        fsh_config_no_memory(reading);
    }
}

static void known_key(struct fsh_config_reading *reading, const struct fsh_config_key *key,
                      const char *given)
{
    const char *expects = NULL;
    char *text = NULL;
    size_t count;
    int status = fsh_config_value(key->type, given, reading->folder, &text, &expects);

    if (status == FRESHET_ENOMEM)
        fsh_config_no_memory(reading);
    else if (status != FRESHET_OK)
        wrong(reading, "%s expects %s", key->name, expects);
    else if (key->kind == FSH_CONFIG_ANY) {
        fsh_config_include(reading, text);
        free(text);
    } else
        set_value(reading, &reading->section->values[key - fsh_config_keys(key->kind, &count)], key,
                  text);
}

/* The only keys that may stand there are those of every section. */
static void before_sections(struct fsh_config_reading *reading, const char *name)
{
    enum fsh_config_kind kind = owner(name);
    const char *near = NULL;

    for (int other = 0; other < FSH_CONFIG_KINDS && !near && kind == FSH_CONFIG_ANY; other++)
        near = near_key(other, name);
    if (near)
        kind = owner(near);
    if (near && kind == FSH_CONFIG_ANY)
        wrong(reading, "there is no key \"%.40s\"; did you mean \"%s\"?", name, near);
    else if (near)
        wrong(reading,
              "there is no key \"%.40s\" before the first section; did you mean \"%s\" below [%s]?",
              name, near, fsh_config_heading(kind));
    else if (kind != FSH_CONFIG_ANY)
        wrong(reading, "%s stands before the first section; write [%s] above it", name,
              fsh_config_heading(kind));
    else
        wrong(reading,
              "there is no key \"%.40s\" before the first section; write [SECTION] above it", name);
}

/* For inih. The section is always "": headings do not come to it. */
static int on_key(void *user, const char *unused, const char *name, const char *value)
{
    struct fsh_config_reading *reading = user;
    const struct fsh_config_key *key = fsh_config_key(FSH_CONFIG_ANY, name);

    (void)unused;
    reading->owed = false;
    if (!key && reading->section)
        key = fsh_config_key(reading->section->kind, name);
    if (key)
        known_key(reading, key, value);
    else if (reading->section)
        no_key(reading, name);
    else if (!reading->lost)
        before_sections(reading, name);
    return 1;
}

/* ---- lines ------------------------------------------------------------------------------- */

static bool good_bytes(const char *line, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (((unsigned char)line[i] < ' ' && line[i] != '\t') || line[i] == 0x7f)
            return false;
    }
    return true;
}

/* What inih is to see of a line: nothing of those that are dealt with here. */
static size_t shown(struct fsh_config_reading *reading, const char *line, size_t len, size_t room)
{
    if (len == 0 || line[0] == ';' || line[0] == '#')
        return 0;
    if (!good_bytes(line, len))
        wrong(reading, "the line has a control character");
    else if (line[0] == '[')
        heading(reading, line, len);
    else if (len > room)
        wrong(reading, "the line is longer than %zu bytes", room);
    else {
        reading->owed = true;
        return len;
    }
    return 0;
}

/* For inih: writes the next line as fgets(3) does. NULL ends the file. */
static char *on_line(char *buffer, int size, void *stream)
{
    struct fsh_config_reading *reading = stream;
    const char *line = reading->next;
    size_t len = strcspn(line, "\n");

    if (reading->owed)
        wrong(reading, "neither a [SECTION], nor KEY = VALUE, nor a comment; a value ends with its "
                       "line");
    reading->owed = false;
    if (reading->stop || *line == '\0')
        return NULL;
    reading->line++;
    reading->next = line + len + (line[len] == '\n');
    if (len > 0 && line[len - 1] == '\r')
        len--;
    /* inih takes an indented line for more of the value above. */
    while (len > 0 && (*line == ' ' || *line == '\t')) {
        line++;
        len--;
    }
    while (len > 0 && (line[len - 1] == ' ' || line[len - 1] == '\t'))
        len--;
    len = shown(reading, line, len, (size_t)size - 2);
    memcpy(buffer, line, len);
    buffer[len] = '\n';
    buffer[len + 1] = '\0';
    return buffer;
}

void fsh_config_read_lines(struct fsh_config_reading *reading,
                           const struct fsh_config_source *source)
{
    reading->line = 0;
    reading->next = source->text;
    reading->owed = false;
    reading->section = NULL;
    reading->lost = false;
    /* Its word is the number of a line that on_line has told of. */
    (void)ini_parse_stream(on_line, reading, on_key, reading);
}
