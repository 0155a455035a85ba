/* SPDX-License-Identifier: Apache-2.0 */

/* A QR code in a terminal: two modules a character. */

#include "cli.h"

#include <langinfo.h>
#include <locale.h>
#include <qrencode.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define QUIET 4 /* modules of margin, as the standard wants */

static bool is_light(const QRcode *code, int x, int y)
{
    if (x < 0 || y < 0 || x >= code->width || y >= code->width)
        return true;
    return (code->data[y * code->width + x] & 1) == 0;
}

static bool fits(const QRcode *code)
{
    struct winsize size = {0};

    if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
        return true;
    return code->width + 2 * QUIET <= size.ws_col;
}

/* Light modules are the characters' ink, as on the dark ground that is set. */
static char *draw(const QRcode *code)
{
    static const char *const halves[2][2] = {{" ", "▄"}, {"▀", "█"}};
    const char *none = getenv("NO_COLOR");
    bool bare = none && none[0];
    size_t side = (size_t)code->width + 2 * QUIET;
    size_t size = (side / 2 + 1) * (side * 3 + 32) + 1;
    char *text = malloc(size);
    char *end = text;

    for (int y = -QUIET; text && y < code->width + QUIET; y += 2) {
        end = stpcpy(end, bare ? "" : "\033[40;97m");
        for (int x = -QUIET; x < code->width + QUIET; x++)
            end = stpcpy(end, halves[is_light(code, x, y)][is_light(code, x, y + 1)]);
        end = stpcpy(end, bare ? "\n" : "\033[0m\n");
    }
    return text;
}

bool fsh_cli_qr_show(const char *text)
{
    QRcode *code;
    char *drawn = NULL;

    (void)setlocale(LC_CTYPE, "");
    if (strcmp(nl_langinfo(CODESET), "UTF-8") != 0)
        return false;
    code = QRcode_encodeString8bit(text, 0, QR_ECLEVEL_L);
    if (!code)
        return false;
    if (fits(code))
        drawn = draw(code);
    if (drawn) {
        fsh_cli_show(drawn);
        fsh_cli_wipe(drawn, strlen(drawn));
    }
    fsh_cli_wipe(code->data, (size_t)code->width * (size_t)code->width);
    QRcode_free(code);
    free(drawn);
    return drawn != NULL;
}
