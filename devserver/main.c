/* SPDX-License-Identifier: Apache-2.0 */
#include "devserver.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef FRESHET_VERSION
#define FRESHET_VERSION "development"
#endif

#define EXIT_USAGE     2
#define DEFAULT_LISTEN "127.0.0.1:9400"

static const char help[] =
    "Usage: freshet-devserver [OPTION]...\n"
    "A stand-in for the platform, to develop and test against. For development only.\n"
    "\n"
    "  --listen HOST:PORT     loopback address, port 0 picks one (" DEFAULT_LISTEN ")\n"
    "  --lifetime SECONDS     of access tokens, fractions allowed (3600)\n"
    "  --rotate               each refresh replaces the refresh token\n"
    "  --grace SECONDS        a replaced refresh token still serves that long (10)\n"
    "  --reuse revoke|refuse  what its use after that does: end the family, or nothing (refuse)\n"
    "  --scheme bearer|bare   bare: the Authorization header may be the token alone (bearer)\n"
    "  --key-file FILE        RSA private key in PEM that signs tokens (a new one each time)\n"
    "  --tls-cert FILE --tls-key FILE\n"
    "                         serve https\n"
    "  --clock FILE           run ahead by its first 8 bytes, in ns, which a test may change\n"
    "  --port-file FILE       write host:port there once listening\n"
    "  --quiet                no banner, no log of requests\n"
    "  --help, --version\n";

__attribute__((format(printf, 1, 2))) static bool misuse(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)fputs("freshet-devserver: ", stderr);
    (void)vfprintf(stderr, format, arguments);
    (void)fputs("\nTry 'freshet-devserver --help'.\n", stderr);
    va_end(arguments);
    return false;
}

static bool parse_seconds(const char *option, const char *text, double min, int64_t *ret_ns)
{
    char *end;
    double seconds = strtod(text, &end);

    if (end == text || *end != '\0' || !isfinite(seconds) || seconds < min ||
        seconds > 366 * 86400.0)
        return misuse("%s: '%s' is not a number of seconds from %g to a year", option, text, min);
    *ret_ns = (int64_t)llround(seconds * 1e9);
    return true;
}

/* --- the address --- */

static bool parse_port(const char *text, in_port_t *ret_port)
{
    if (strlen(text) == 0 || strlen(text) > 5 || strspn(text, "0123456789") != strlen(text) ||
        strtol(text, NULL, 10) > 65535)
        return false;
    *ret_port = htons((uint16_t)strtol(text, NULL, 10));
    return true;
}

static bool parse_host4(const char *host, in_port_t port, struct dev_options *options)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = port};

    if (inet_pton(AF_INET, strcmp(host, "localhost") == 0 ? "127.0.0.1" : host,
                  &address.sin_addr) != 1)
        return false;
    memcpy(&options->address, &address, sizeof(address));
    options->address_len = sizeof(address);
    return ntohl(address.sin_addr.s_addr) >> 24 == 127;
}

static bool parse_host6(const char *host, in_port_t port, struct dev_options *options)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = port};

    if (inet_pton(AF_INET6, host, &address.sin6_addr) != 1)
        return false;
    memcpy(&options->address, &address, sizeof(address));
    options->address_len = sizeof(address);
    return IN6_IS_ADDR_LOOPBACK(&address.sin6_addr);
}

/* Loopback only: the passwords are public and the controls are open. */
static bool parse_listen(const char *text, struct dev_options *options)
{
    const char *colon = strrchr(text, ':');
    char host[64];
    size_t len = colon ? (size_t)(colon - text) : 0;
    in_port_t port = 0;
    bool loopback;

    if (len == 0 || len >= sizeof(host) || !parse_port(colon + 1, &port))
        return misuse("--listen: '%s' is not HOST:PORT", text);
    memcpy(host, text, len);
    host[len] = '\0';
    if (host[0] == '[' && host[len - 1] == ']') {
        host[len - 1] = '\0';
        loopback = parse_host6(host + 1, port, options);
    } else {
        loopback = parse_host4(host, port, options);
    }
    return loopback ||
           misuse("--listen: '%s' is not a loopback address (127.0.0.0/8, [::1], localhost): a "
                  "development server with well-known passwords listens nowhere else",
                  text);
}

/* --- options --- */

enum option_key {
    KEY_LISTEN = 256,
    KEY_LIFETIME,
    KEY_ROTATE,
    KEY_GRACE,
    KEY_REUSE,
    KEY_SCHEME,
    KEY_KEY_FILE,
    KEY_TLS_CERT,
    KEY_TLS_KEY,
    KEY_CLOCK,
    KEY_PORT_FILE,
    KEY_QUIET,
    KEY_HELP,
    KEY_VERSION
};

static const struct option long_options[] = {
    {"listen", required_argument, NULL, KEY_LISTEN},
    {"lifetime", required_argument, NULL, KEY_LIFETIME},
    {"rotate", no_argument, NULL, KEY_ROTATE},
    {"grace", required_argument, NULL, KEY_GRACE},
    {"reuse", required_argument, NULL, KEY_REUSE},
    {"scheme", required_argument, NULL, KEY_SCHEME},
    {"key-file", required_argument, NULL, KEY_KEY_FILE},
    {"tls-cert", required_argument, NULL, KEY_TLS_CERT},
    {"tls-key", required_argument, NULL, KEY_TLS_KEY},
    {"clock", required_argument, NULL, KEY_CLOCK},
    {"port-file", required_argument, NULL, KEY_PORT_FILE},
    {"quiet", no_argument, NULL, KEY_QUIET},
    {"help", no_argument, NULL, KEY_HELP},
    {"version", no_argument, NULL, KEY_VERSION},
    {NULL, 0, NULL, 0},
};

/* One of two words: false for the first, true for the second. */
static bool parse_word(const char *option, const char *text, const char *first, const char *second,
                       bool *ret_second)
{
    if (strcmp(text, first) != 0 && strcmp(text, second) != 0)
        return misuse("%s: '%s' is neither %s nor %s", option, text, first, second);
    *ret_second = strcmp(text, second) == 0;
    return true;
}

static bool parse_reuse(const char *text, struct dev_options *options)
{
    bool revoke = false;

    if (!parse_word("--reuse", text, "refuse", "revoke", &revoke))
        return false;
    options->reuse = revoke ? DEV_REUSE_REVOKE : DEV_REUSE_REFUSE;
    return true;
}

static bool apply_option(int key, struct dev_options *options)
{
    switch (key) {
    case KEY_LISTEN:
        return parse_listen(optarg, options);
    case KEY_LIFETIME:
        return parse_seconds("--lifetime", optarg, 0.05, &options->lifetime_ns);
    case KEY_GRACE:
        return parse_seconds("--grace", optarg, 0, &options->grace_ns);
    case KEY_REUSE:
        return parse_reuse(optarg, options);
    case KEY_SCHEME:
        return parse_word("--scheme", optarg, "bearer", "bare", &options->bare);
    case KEY_ROTATE:
        options->rotate = true;
        return true;
    case KEY_KEY_FILE:
        options->key_file = optarg;
        return true;
    case KEY_TLS_CERT:
        options->tls_cert_file = optarg;
        return true;
    case KEY_TLS_KEY:
        options->tls_key_file = optarg;
        return true;
    case KEY_CLOCK:
        options->clock_file = optarg;
        return true;
    case KEY_PORT_FILE:
        options->port_file = optarg;
        return true;
    case KEY_QUIET:
        options->quiet = true;
        return true;
    default:
        return misuse("that is no option");
    }
}

/* Ends the process after --help, --version and wrong usage. */
static void parse_options(int argc, char **argv, struct dev_options *options)
{
    int key;

    if (!parse_listen(DEFAULT_LISTEN, options))
        exit(EXIT_USAGE);
    while ((key = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (key == KEY_HELP || key == KEY_VERSION) {
            (void)fputs(key == KEY_HELP ? help : "freshet-devserver " FRESHET_VERSION "\n", stdout);
            exit(EXIT_SUCCESS);
        }
        if (!apply_option(key, options))
            exit(EXIT_USAGE);
    }
    if (optind < argc) {
        (void)misuse("'%s' is too much", argv[optind]);
        exit(EXIT_USAGE);
    }
    if (!options->tls_cert_file != !options->tls_key_file) {
        (void)misuse("--tls-cert and --tls-key go together");
        exit(EXIT_USAGE);
    }
}

/* --- the banner, and what runs --- */

static void print_banner(const struct dev_server *server)
{
    const char *url = server->url;

    printf("freshet-devserver: FOR DEVELOPMENT ONLY. Well-known passwords, open controls.\n"
           "Base URL: %s\n\nAccounts:\n",
           url);
    dev_accounts_print();
    printf("\nFaults, for example the next refresh processed, then its connection reset:\n"
           "  curl -d '{\"match\":\"/auth/refresh_token\",\"kind\":\"reset_after\"}' "
           "%s/_dev/faults\n"
           "Kinds: latency status reset_before reset_after truncate html giant drip body.\n"
           "Clear them:  curl -X DELETE %s/_dev/faults\n"
           "Counters:    curl %s/_dev/counters\n"
           "TOTP code:   curl %s/_dev/totp/mfa\n"
           "Lifetime:    curl -X PUT -d '{\"seconds\":60}' %s/_dev/lifetime\n",
           url, url, url, url, url);
    (void)fflush(stdout);
}

/* Whoever waits for the file never reads half of it. */
static bool write_port_file(const struct dev_server *server)
{
    const char *name = server->options.port_file;
    char temporary[4096];
    FILE *stream;
    bool written;

    if (!name)
        return true;
    if (snprintf(temporary, sizeof(temporary), "%s.%ld", name, (long)getpid()) >=
        (int)sizeof(temporary)) {
        fprintf(stderr, "freshet-devserver: --port-file: the name is too long\n");
        return false;
    }
    stream = fopen(temporary, "we");
    written = stream && fprintf(stream, "%s\n", server->authority) > 0;
    if (stream && fclose(stream) != 0)
        written = false;
    if (written && rename(temporary, name) == 0)
        return true;
    fprintf(stderr, "freshet-devserver: %s: %s\n", name, strerror(errno));
    (void)unlink(temporary);
    return false;
}

int main(int argc, char **argv)
{
    struct dev_options options = {.lifetime_ns = 3600 * DEV_SECOND_NS,
                                  .grace_ns = 10 * DEV_SECOND_NS};
    struct dev_server *server;
    sigset_t ends;
    int number;
    int status = EXIT_SUCCESS;

    parse_options(argc, argv, &options);
    /* Blocked before the first thread starts, so that only sigwait gets them. */
    (void)signal(SIGPIPE, SIG_IGN);
    (void)sigemptyset(&ends);
    (void)sigaddset(&ends, SIGTERM);
    (void)sigaddset(&ends, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, &ends, NULL);
    json_object_seed(0); /* before threads could race for it */
    server = calloc(1, sizeof(*server));
    if (!server || !dev_server_start(server, &options)) {
        free(server);
        return EXIT_FAILURE;
    }
    if (!options.quiet)
        print_banner(server);
    if (write_port_file(server))
        (void)sigwait(&ends, &number);
    else
        status = EXIT_FAILURE;
    dev_server_stop(server);
    free(server);
    return status;
}
