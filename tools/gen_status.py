#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes what stands on spec/status.def: the public header, or the page docs/status.md.

usage: gen_status.py header|page status.def OUTPUT
"""
import re
import sys

ROW = re.compile(
    r'^FRESHET_STATUS\((\w+), (-?\d+), (\w+), (\d+), (\d+), "(.*)"\)$')

CLASSES = ["OK", "RETRY", "ENDED", "CHALLENGE", "UNKNOWN", "USAGE", "INTERNAL"]


def rows(path):
    out = []
    with open(path, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            if not line.startswith("FRESHET_STATUS("):
                continue
            match = ROW.match(line.rstrip("\n"))
            if not match:
                sys.exit(f"{path}:{number}: not a status row")
            name, value, cls, code, http, text = match.groups()
            if cls not in CLASSES:
                sys.exit(f"{path}:{number}: no class {cls}")
            out.append((name, int(value), cls, int(code), int(http), text))
    for column, what in ((0, "name"), (1, "value")):
        seen = set()
        for row in out:
            if row[column] in seen:
                sys.exit(f"{path}: the {what} {row[column]} stands twice")
            seen.add(row[column])
    return out


def header(table):
    lines = ["""/* SPDX-License-Identifier: Apache-2.0
 *
 * Made from spec/status.def by tools/gen_status.py. Do not edit.
 */
#ifndef FRESHET_STATUS_H
#define FRESHET_STATUS_H

#include <freshet/export.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What a function returns: FRESHET_OK, or one of the negative values. */
enum freshet_status {"""]
    for name, value, _cls, _code, _http, text in table:
        lines.append(f"    /** {text[0].upper() + text[1:]}. */")
        lines.append(f"    FRESHET_{name} = {value},")
    lines.append("};\n")
    lines.append("/** What kind of trouble a status is, and so what a program may do about it. */")
    lines.append("enum freshet_class {")
    for cls in CLASSES:
        lines.append(f"    FRESHET_CLASS_{cls},")
    lines.append("""};

/** The name of a status, such as "FRESHET_EENDED"; "FRESHET_E?" for a number that is none.
 *  Static storage; any thread; never fails. */
FRESHET_EXPORT const char *freshet_status_name(int status);

/** One English sentence: what is the case and what to do next. Static storage; any thread. */
FRESHET_EXPORT const char *freshet_status_text(int status);

/** The class of a status; FRESHET_CLASS_INTERNAL for a number that is none. Any thread. */
FRESHET_EXPORT enum freshet_class freshet_status_class(int status);

/** The exit code that the command line ends with for a status. Any thread. */
FRESHET_EXPORT int freshet_status_exit_code(int status);

/** The HTTP status that the keeper answers with for a status. Any thread. */
FRESHET_EXPORT int freshet_status_http(int status);

#ifdef __cplusplus
}
#endif

#endif""")
    return "\n".join(lines) + "\n"


def page(table):
    lines = ["# Statuses", "",
             "Made from [spec/status.def](../spec/status.def) by `tools/gen_status.py page`; "
             "a check holds the two together.", "",
             "| status | value | class | exit code | HTTP | meaning, and what to do |",
             "|---|---|---|---|---|---|"]
    for name, value, cls, code, http, text in table:
        lines.append(f"| `FRESHET_{name}` | {value} | {cls.lower()} | {code} | {http} | {text} |")
    return "\n".join(lines) + "\n"


def main():
    if len(sys.argv) != 4 or sys.argv[1] not in ("header", "page"):
        sys.exit(__doc__)
    table = rows(sys.argv[2])
    with open(sys.argv[3], "w", encoding="utf-8") as f:
        f.write(header(table) if sys.argv[1] == "header" else page(table))


if __name__ == "__main__":
    main()
