/* SPDX-License-Identifier: Apache-2.0 */
#include "devserver.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ARGUMENTS_MAX 24

static void fail(const char *what)
{
    (void)fprintf(stderr, "devserver: %s\n", what);
    abort();
}

static void run(const char *port_file, const char *const *arguments)
{
    const char *program = getenv("FRESHET_DEVSERVER");
    char *argv[ARGUMENTS_MAX] = {0};
    const char *fixed[] = {program, "--listen", "127.0.0.1:0", "--quiet", "--port-file", port_file};
    size_t count = 0;
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

    if (!program)
        fail("FRESHET_DEVSERVER is not set");
    for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
        argv[count++] = strdup(fixed[i]);
    for (; arguments && *arguments && count < ARGUMENTS_MAX - 1; arguments++)
        argv[count++] = strdup(*arguments);
    /* It ends with the test, however that ends. */
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)dup2(null, STDOUT_FILENO);
    (void)execv(program, argv);
    fail("cannot be executed");
}

static bool read_port_file(const char *path, const char *scheme, struct devserver *server)
{
    char address[64] = "";
    FILE *file = fopen(path, "re");

    if (!file)
        return false;
    if (!fgets(address, sizeof(address), file))
        address[0] = '\0';
    (void)fclose(file);
    address[strcspn(address, "\n")] = '\0';
    (void)snprintf(server->dev.url, sizeof(server->dev.url), "%s://%s", scheme, address);
    return address[0] != '\0';
}

void devserver_start(struct devserver *server, const char *scheme, const char *const *arguments)
{
    const struct timespec pause = {0, 5000000};
    char port_file[96];

    (void)snprintf(server->folder, sizeof(server->folder), P_tmpdir "/freshet-test-XXXXXX");
    if (!mkdtemp(server->folder))
        fail("no temporary folder");
    (void)snprintf(port_file, sizeof(port_file), "%s/port", server->folder);
    server->pid = fork();
    if (server->pid < 0)
        fail("fork");
    if (server->pid == 0)
        run(port_file, arguments);
    for (int tries = 0; tries < 4000; tries++) {
        if (read_port_file(port_file, scheme, server))
            return;
        if (waitpid(server->pid, NULL, WNOHANG) == server->pid)
            fail("ended at once");
        (void)nanosleep(&pause, NULL);
    }
    fail("does not listen after 20 s");
}

void devserver_stop(struct devserver *server)
{
    char port_file[96];
    int status = 0;

    (void)kill(server->pid, SIGTERM);
    (void)waitpid(server->pid, &status, 0);
    (void)snprintf(port_file, sizeof(port_file), "%s/port", server->folder);
    (void)unlink(port_file);
    (void)rmdir(server->folder);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail("did not end cleanly");
}

void devserver_control(const struct devserver *server, const char *method, const char *path,
                       const char *body)
{
    long status = devclient_send(&server->dev, method, path, body, NULL, 0);

    if (status < 200 || status > 299) {
        (void)fprintf(stderr, "devserver: %s %s: %ld\n", method, path, status);
        abort();
    }
}

long devserver_counter(const struct devserver *server, const char *name)
{
    long value = devclient_counter(&server->dev, name);

    if (value < 0) {
        (void)fprintf(stderr, "devserver: no counter %s\n", name);
        abort();
    }
    return value;
}
