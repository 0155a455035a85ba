/* SPDX-License-Identifier: Apache-2.0 */
#include "keeper.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void fail(const char *what)
{
    (void)fprintf(stderr, "keeper: %s\n", what);
    abort();
}

bool keeper_wanted(void)
{
    return getenv("FRESHET_TEST_KEEPER") != NULL;
}

static const char *path_of(const struct keeper *keeper, const char *file, char ret_path[96])
{
    (void)snprintf(ret_path, 96, "%s/%s", keeper->folder, file);
    return ret_path;
}

static void write_config(const struct keeper *keeper, const char *url, const char *more)
{
    char path[96];
    FILE *file = fopen(path_of(keeper, "freshet.conf", path), "we");

    if (!file)
        fail("its configuration cannot be written");
    (void)fprintf(file,
                  "[platform]\nurl = %s\n[store]\nsecrets = memory:\ntokens = memory:\n"
                  "[keeper]\ncontrol_socket = %s/control.sock\n%s",
                  url, keeper->folder, more ? more : "");
    if (fclose(file) != 0)
        fail("its configuration cannot be written");
}

static void run(const struct keeper *keeper)
{
    const char *program = getenv("FRESHET_TEST_KEEPER");
    char config[96];
    char log[96];
    int output = open(path_of(keeper, "log", log), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    /* It ends with the test, however that ends. */
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)dup2(output, STDOUT_FILENO);
    (void)dup2(output, STDERR_FILENO);
    (void)execl(program, program, "--config", path_of(keeper, "freshet.conf", config),
                (char *)NULL);
    fail("cannot be executed");
}

static bool answers(const struct keeper *keeper)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    bool connected;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/control.sock", keeper->folder);
    connected = connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0;
    (void)close(fd);
    return connected;
}

void keeper_restart(struct keeper *keeper)
{
    const struct timespec pause = {0, 5000000};

    keeper->pid = fork();
    if (keeper->pid < 0)
        fail("fork");
    if (keeper->pid == 0)
        run(keeper);
    for (int tries = 0; tries < 4000; tries++) {
        if (answers(keeper))
            return;
        if (waitpid(keeper->pid, NULL, WNOHANG) == keeper->pid)
            fail("ended at once");
        (void)nanosleep(&pause, NULL);
    }
    fail("does not listen after 20 s");
}

void keeper_restart_for(struct keeper *keeper, const char *url)
{
    write_config(keeper, url, NULL);
    keeper_restart(keeper);
}

void keeper_start(struct keeper *keeper, const char *url, const char *more)
{
    (void)snprintf(keeper->folder, sizeof(keeper->folder), P_tmpdir "/freshet-test-XXXXXX");
    if (!mkdtemp(keeper->folder))
        fail("no temporary folder");
    (void)snprintf(keeper->secrets, sizeof(keeper->secrets), "keeper:%s/control.sock",
                   keeper->folder);
    write_config(keeper, url, more);
    keeper_restart(keeper);
}

void keeper_kill(struct keeper *keeper)
{
    (void)kill(keeper->pid, SIGKILL);
    (void)waitpid(keeper->pid, NULL, 0);
}

static void show_log(const char *path)
{
    char line[512];
    FILE *file = fopen(path, "re");

    while (file && fgets(line, sizeof(line), file))
        (void)fprintf(stderr, "# %s", line);
    if (file)
        (void)fclose(file);
}

void keeper_stop(struct keeper *keeper)
{
    static const char *const files[] = {"control.sock", "freshet.conf", "log"};
    char path[96];
    int status = 0;
    bool clean;

    (void)kill(keeper->pid, SIGTERM);
    (void)waitpid(keeper->pid, &status, 0);
    clean = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (!clean)
        show_log(path_of(keeper, "log", path));
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        (void)unlink(path_of(keeper, files[i], path));
    (void)rmdir(keeper->folder);
    if (!clean)
        fail("did not end cleanly");
}
