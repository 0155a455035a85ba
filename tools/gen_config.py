#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes what stands on src/config/keys.def: the tables of docs/configuration.md, between its two marks, or
a list for programs.

usage: gen_config.py page keys.def PAGE    writes the tables anew
       gen_config.py check keys.def PAGE   ends with 1 when they are old
       gen_config.py json keys.def         sections and keys, on standard output
"""
import json
import re
import sys

SECTION = re.compile(r'^FRESHET_SECTION\((\w+), "([^"]*)", "(.*)"\)$')
KEY = re.compile(r'^FRESHET_KEY\((\w+), (\w+), (\w+), (REQUIRED|ONCE|MANY), (?:NULL|"([^"]*)"), "(.*)"\)$')
BEGIN, END = "<!-- keys: made by tools/gen_config.py -->", "<!-- end of keys -->"

KINDS = {
    "BOOLEAN": "yes or no", "DURATION": "duration", "FILE": "file", "FORMAT": "word", "INCLUDE": "file or pattern",
    "LEVEL": "word", "NUMBER": "number", "ORIGIN": "origin", "ORIGINS": "origins", "PARTNER": "partner id", "PERMISSION": "permission",
    "PROXY": "proxy", "SOCKET": "socket", "STORE": "store", "TEXT": "text", "URL": "URL", "WORD": "word",
}
TIMES = {"REQUIRED": "required", "ONCE": "", "MANY": "may be repeated"}


def read(path):
    """The sections in their order: {"section", "heading", "doc", "keys": [...]}."""
    sections = []
    with open(path, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            line = line.rstrip("\n")
            if not line.startswith("FRESHET_"):
                continue
            section, key = SECTION.match(line), KEY.match(line)
            if section:
                name, heading, doc = section.groups()
                sections.append({"section": name, "heading": heading, "doc": doc, "keys": []})
            elif key and sections and key.group(1) == sections[-1]["section"] and key.group(3) in KINDS:
                _section, name, kind, times, default, doc = key.groups()
                sections[-1]["keys"].append({"name": name, "type": KINDS[kind], "times": times.lower(),
                                             "default": default, "doc": doc})
            else:
                sys.exit(f"{path}:{number}: not a row, or not below its section")
    return sections


def tables(sections):
    lines = []
    for section in sections:
        lines += [f"### `[{section['heading']}]`" if section["heading"] else "### In any section", "",
                  section["doc"], "", "| key | value | default | what it is |", "|---|---|---|---|"]
        for key in section["keys"]:
            default = f"`{key['default']}`" if key["default"] else TIMES[key["times"].upper()] or "none"
            if key["default"] and key["times"] == "many":
                default += ", " + TIMES["MANY"]
            lines.append(f"| `{key['name']}` | {key['type']} | {default} | {key['doc']} |")
        lines.append("")
    return "\n".join(lines)


def main():
    if sys.argv[1:2] == ["json"] and len(sys.argv) == 3:
        print(json.dumps(read(sys.argv[2]), indent=2))
        return
    if len(sys.argv) != 4 or sys.argv[1] not in ("page", "check"):
        sys.exit(__doc__)
    with open(sys.argv[3], encoding="utf-8") as f:
        old = f.read()
    before, rest = old.split(BEGIN)
    new = before + BEGIN + "\n\n" + tables(read(sys.argv[2])) + "\n" + END + rest.split(END)[1]
    if sys.argv[1] == "check":
        sys.exit(0 if new == old else 1)
    with open(sys.argv[3], "w", encoding="utf-8") as f:
        f.write(new)


main()
