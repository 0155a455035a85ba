/* SPDX-License-Identifier: Apache-2.0 */
#include "base/status.h"

#include <freshet/status.h>
#include <stddef.h>
#include <string.h>

struct row {
    int status;
    enum freshet_class class;
    int exit_code;
    int http;
    const char *name;
    const char *text;
};

static const struct row rows[] = {
#define FRESHET_STATUS(name, value, class, exit, http, text)                                       \
    {value, FRESHET_CLASS_##class, exit, http, "FRESHET_" #name, text},
#include "spec/status.def"
#undef FRESHET_STATUS
};

static const struct row no_row = {
    0, FRESHET_CLASS_INTERNAL, 70, 500, "FRESHET_E?", "no status of Freshet; a defect",
};

static const struct row *find(int status)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].status == status)
            return &rows[i];
    }
    return &no_row;
}

const char *freshet_status_name(int status)
{
    return find(status)->name;
}

const char *freshet_status_text(int status)
{
    return find(status)->text;
}

enum freshet_class freshet_status_class(int status)
{
    return find(status)->class;
}

int freshet_status_exit_code(int status)
{
    return find(status)->exit_code;
}

int freshet_status_http(int status)
{
    return find(status)->http;
}

int fsh_base_status_named(const char *name)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (strcmp(rows[i].name, name) == 0)
            return rows[i].status;
    }
    return FSH_STATUS_UNKNOWN;
}
