/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_CLI_CLI_H
#define FSH_CLI_CLI_H

/* The command line `freshet`. It knows libfreshet by its public headers, like any program. */

#include <freshet/freshet.h>
#include <stdbool.h>
#include <stddef.h>

enum fsh_cli_verb {
#define FRESHET_VERB(name, operands, help) FSH_CLI_VERB_##name,
#define FRESHET_OPTION(name, argument, verbs, environment, help)
#include "options.def"
#undef FRESHET_VERB
#undef FRESHET_OPTION
    FSH_CLI_VERBS,
};

enum fsh_cli_option {
#define FRESHET_VERB(name, operands, help)
#define FRESHET_OPTION(name, argument, verbs, environment, help) FSH_CLI_##name,
#include "options.def"
#undef FRESHET_VERB
#undef FRESHET_OPTION
    FSH_CLI_OPTIONS,
};

#define FSH_CLI_OPERANDS   4
#define FSH_CLI_SECRET_MAX 1024 /* bytes of a password or code, as the library takes them */

struct freshet_config;
struct json_t;

/* What goes to standard output, kept until the end: all of it or, after a failure of the verb,
 * what the verb left there. Wiped. */
struct fsh_cli_output {
    char *bytes;
    size_t len;
    size_t room;
    bool failed; /* memory ran out */
};

/* One run of the program. Zeroed, it is empty. */
struct fsh_cli {
    enum fsh_cli_verb verb;
    const char *values[FSH_CLI_OPTIONS]; /* as given or from the environment; NULL; "" for a flag */
    bool given[FSH_CLI_OPTIONS];         /* on the command line */
    const char *operands[FSH_CLI_OPERANDS]; /* behind the verb; NULL beyond the last */
    size_t operand_count;
    char *const *rest; /* what stands behind `--`, ends with NULL; NULL without */

    /* fsh_cli_place fills these in */
    struct freshet_options options;
    int64_t threshold_ms;          /* of the session that was opened; 0 for the library's own */
    struct freshet_config *config; /* NULL: flags and environment */
    char *config_path;
    char *state; /* folder of the stores without a config */
    char *secrets;
    char *tokens;
    char *key_file;
    char *keeper; /* "keeper:" and its socket, when it has the sessions; else NULL */

    struct freshet *freshet;
    struct freshet_session *session;
    const char *name;           /* of the session */
    struct freshet_error error; /* of what a verb returns */
    struct fsh_cli_output out;
    int exit_code; /* of a program that a verb ran, when the verb's status is FRESHET_OK */
    int signal;    /* that ended such a program; ends us, too */
};

/* ---- options.c --------------------------------------------------------------------------- */

struct fsh_cli_verb_row {
    const char *name;
    const char *operands;
    const char *help;
    int (*run)(struct fsh_cli *cli);
};

struct fsh_cli_option_row {
    const char *name; /* with _ for - */
    const char *argument;
    const char *verbs;
    const char *environment;
    const char *help;
};

extern const struct fsh_cli_verb_row fsh_cli_verbs[FSH_CLI_VERBS];
extern const struct fsh_cli_option_row fsh_cli_options[FSH_CLI_OPTIONS];

/* Reads the command line and the environment. FRESHET_EINVAL. */
int fsh_cli_parse(struct fsh_cli *cli, int argc, char *const argv[]);
/* Whether a verb knows an option. */
bool fsh_cli_knows(enum fsh_cli_verb verb, enum fsh_cli_option option);
/* An option's name with dashes. */
const char *fsh_cli_option_name(enum fsh_cli_option option, char *ret_name, size_t size);
/* The verb of that name; FSH_CLI_VERBS when there is none. */
enum fsh_cli_verb fsh_cli_verb_find(const char *name);
/* Refuses more operands than a verb takes. */
int fsh_cli_operands_at_most(struct fsh_cli *cli, size_t most);
/* --timeout in milliseconds; 0 for the library's own. */
int fsh_cli_timeout(struct fsh_cli *cli, int64_t *ret_timeout_ms);

/* ---- place.c: which platform, which stores, which session --------------------------------- */

/* Finds the configuration, or makes one up of flags and environment; and the keeper, if one has the
 * sessions. */
int fsh_cli_place(struct fsh_cli *cli);
/* keeper.c: has the options name the keeper that is asked for, or that the configuration knows and
 * that answers. */
int fsh_cli_keeper(struct fsh_cli *cli);
/* The path of its socket. */
const char *fsh_cli_keeper_socket(const struct fsh_cli *cli);
/* Without a configuration: makes the state folder. */
int fsh_cli_state_make(struct fsh_cli *cli);
/* Without a configuration, the first time: makes the state folder and its key, and says so. */
int fsh_cli_place_make(struct fsh_cli *cli);
/* Whether nobody has signed in yet: without a configuration and without a key. */
bool fsh_cli_place_empty(const struct fsh_cli *cli);
#define FSH_CLI_WHICH_PLATFORM "which platform? Set FRESHET_URL, or give --url or a configuration"
/* After fsh_cli_place: opens the platform. FRESHET_ESIGNEDOUT while there are no stores yet. */
int fsh_cli_open(struct fsh_cli *cli);

enum fsh_cli_use {
    FSH_CLI_LOOK,    /* only what is there: nothing is sent */
    FSH_CLI_SIGN_IN, /* a person acts: with a service's credentials, but not by itself */
    FSH_CLI_CALL,    /* a service signs in when it has to */
};

/* All of that, and opens the session that the first operand names. */
int fsh_cli_open_session(struct fsh_cli *cli, enum fsh_cli_use use);
/* The session that an operand (or NULL) means. FRESHET_EINVAL when it could be several. */
int fsh_cli_session_name(struct fsh_cli *cli, const char *operand, const char **ret_name);
/* Whether the configuration has it, */
bool fsh_cli_is_configured(const struct fsh_cli *cli, const char *name);
/* and as a service. */
bool fsh_cli_is_service(const struct fsh_cli *cli, const char *name);
/* The account that the configuration has for a session, or NULL. */
const char *fsh_cli_account(const struct fsh_cli *cli, const char *name);
/* Opens a session of the open platform. */
int fsh_cli_session(struct fsh_cli *cli, const char *name, enum fsh_cli_use use,
                    struct freshet_session **ret_session);
/* Closes everything. */
void fsh_cli_place_done(struct fsh_cli *cli);

/* ---- sessions.c -------------------------------------------------------------------------- */

/* A session that the configuration or the store knows. */
struct fsh_cli_known {
    char name[129];
    bool configured;
    bool service;
    bool stored;
    enum freshet_phase phase;
    int reason;
    int parked;
    uint64_t generation;
};

/* Lists them by name; free(3). After fsh_cli_place. */
int fsh_cli_known(struct fsh_cli *cli, struct fsh_cli_known **ret_list, size_t *ret_count);

/* ---- output.c ---------------------------------------------------------------------------- */

/* Says what is wrong, for main to print; returns `status`. `format` NULL: the status's text. */
__attribute__((format(printf, 3, 4))) int fsh_cli_fail(struct fsh_cli *cli, int status,
                                                       const char *format, ...);
__attribute__((format(printf, 2, 3))) void fsh_cli_print(struct fsh_cli *cli, const char *format,
                                                         ...);
void fsh_cli_write(struct fsh_cli *cli, const char *bytes, size_t len);
/* A sentence for the person at the terminal, on stderr; not where --json has a document
 * say it. */
__attribute__((format(printf, 2, 3))) void fsh_cli_say(const struct fsh_cli *cli,
                                                       const char *format, ...);
static inline bool fsh_cli_wants_json(const struct fsh_cli *cli)
{
    return cli->values[FSH_CLI_json] != NULL;
}

enum fsh_cli_colour { FSH_CLI_PLAIN, FSH_CLI_GREEN, FSH_CLI_YELLOW, FSH_CLI_RED, FSH_CLI_BOLD };
/* The escape sequence that begins a colour, FSH_CLI_PLAIN to end it; "" where there is none. */
const char *fsh_cli_colour(enum fsh_cli_colour colour);

/* Prints the failure of a verb. */
void fsh_cli_complain(struct fsh_cli *cli, int status);
/* Writes everything out, and wipes it. Returns 0, or the errno of a failure. */
int fsh_cli_flush(struct fsh_cli *cli);
void fsh_cli_output_done(struct fsh_cli_output *out);

/* ---- document.c: JSON -------------------------------------------------------------------- */

/* Prints a document of --json, and gives up the reference. NULL: out of memory. Returns `status`,
 * or FRESHET_ENOMEM. */
int fsh_cli_document(struct fsh_cli *cli, struct json_t *document, int status);
/* The same of {"error": {...}}. */
void fsh_cli_document_error(struct fsh_cli *cli, int status);

/* ---- wipe.c ------------------------------------------------------------------------------ */

/* No core dumps, no other process of this user looks in; what is freed is wiped. First thing. */
void fsh_cli_harden(void);
void fsh_cli_wipe(void *bytes, size_t len);

/* ---- prompt.c, secret.c ------------------------------------------------------------------ */

struct fsh_cli_secret {
    char text[FSH_CLI_SECRET_MAX + 1];
};

/* Whether there is a person to be asked. */
bool fsh_cli_can_ask(void);
/* Asks on the terminal. `hidden`: without echo, which is restored whatever happens. */
int fsh_cli_ask(struct fsh_cli *cli, const char *question, bool hidden,
                struct fsh_cli_secret *ret_answer);
/* Shows something on the terminal itself, never on standard output. */
void fsh_cli_show(const char *text);
/* First line of a file ("-": standard input). */
int fsh_cli_secret_file(struct fsh_cli *cli, const char *option, const char *path,
                        struct fsh_cli_secret *ret_secret);
/* First line of what a shell command prints. */
int fsh_cli_secret_command(struct fsh_cli *cli, const char *command,
                           struct fsh_cli_secret *ret_secret);

/* ---- qr.c -------------------------------------------------------------------------------- */

/* Shows a text as a QR code on the terminal; false when the terminal cannot. */
bool fsh_cli_qr_show(const char *text);

/* ---- wait.c ------------------------------------------------------------------------------ */

/* Shows on a terminal, from the second second on, what is waited for. One at a time. */
void fsh_cli_wait_begin(struct fsh_cli *cli, const char *what);
void fsh_cli_wait_end(struct fsh_cli *cli);

/* ---- words.c: what the library's numbers are called --------------------------------------- */

const char *fsh_cli_phase(enum freshet_phase phase);
/* "3 min 20 s" of milliseconds. */
const char *fsh_cli_duration(int64_t ms, char *ret_text, size_t size);
/* Local date and time of milliseconds since 1970. */
const char *fsh_cli_time(int64_t at_ms, char *ret_text, size_t size);

/* ---- the verbs, one file each ------------------------------------------------------------- */

#define FRESHET_VERB(name, operands, help) int fsh_cli_##name##_run(struct fsh_cli *cli);
#define FRESHET_OPTION(name, argument, verbs, environment, help)
#include "options.def"
#undef FRESHET_VERB
#undef FRESHET_OPTION

/* Both headers of a fresh token of the open session, or neither. headers.c */
int fsh_cli_fresh(struct fsh_cli *cli, int64_t timeout_ms,
                  const struct freshet_headers **ret_headers,
                  struct freshet_freshness *ret_freshness);

/* Signs in, answering every challenge; what `login` and `mfa` share. login.c */
int fsh_cli_sign_in(struct fsh_cli *cli);
/* Says so. */
int fsh_cli_signed_in(struct fsh_cli *cli);

#endif
