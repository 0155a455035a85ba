/* SPDX-License-Identifier: Apache-2.0 */

/* The documents of --json. */

#include "cli.h"

#include <jansson.h>

static int dump(const char *bytes, size_t len, void *data)
{
    fsh_cli_write(data, bytes, len);
    return 0;
}

int fsh_cli_document(struct fsh_cli *cli, struct json_t *document, int status)
{
    if (!document)
        return fsh_cli_fail(cli, FRESHET_ENOMEM, NULL);
    if (json_dump_callback(document, dump, cli, JSON_INDENT(2) | JSON_ENSURE_ASCII) != 0)
        cli->out.failed = true;
    json_decref(document);
    fsh_cli_write(cli, "\n", 1);
    return status;
}

static const char *class_name(int status)
{
    static const char *const names[] = {
        [FRESHET_CLASS_OK] = "ok",
        [FRESHET_CLASS_RETRY] = "retry",
        [FRESHET_CLASS_ENDED] = "ended",
        [FRESHET_CLASS_CHALLENGE] = "challenge",
        [FRESHET_CLASS_UNKNOWN] = "unknown",
        [FRESHET_CLASS_USAGE] = "usage",
        [FRESHET_CLASS_INTERNAL] = "internal",
    };

    return names[freshet_status_class(status)];
}

void fsh_cli_document_error(struct fsh_cli *cli, int status)
{
    const struct freshet_error *error = &cli->error;
    bool detailed = error->status == status;
    json_t *document = json_pack(
        "{s:{s:s, s:s, s:i, s:i, s:I, s:s, s:s}}", "error", "status", freshet_status_name(status),
        "class", class_name(status), "exit_code", freshet_status_exit_code(status), "http_status",
        detailed ? error->http_status : 0, "retry_after_ms",
        (json_int_t)(detailed ? error->retry_after_ms : -1), "code", detailed ? error->code : "",
        "message", detailed && error->message[0] ? error->message : freshet_status_text(status));

    (void)fsh_cli_document(cli, document, status);
}
