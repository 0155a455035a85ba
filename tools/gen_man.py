#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes what the .def files say into the manual pages, between their lines `.\\" begin WHAT` and
`.\\" end WHAT`, in place.

usage: gen_man.py PAGE ...

WHAT is `options` (those that all verbs know), `options VERB`, `environment`, `exits`, `errors`,
`sections` or `synopsis`."""
import re
import sys
import textwrap

from tables import functions, keys, options, options_of, sections, statuses

REGION = re.compile(r'^\.\\" begin (.*)\n(?:.*\n)*?\.\\" end \1\n', re.MULTILINE)
# In the order of the description; others come behind.
HEADERS = [name + ".h" for name in ("client", "session", "headers", "mfa", "ledger", "async", "curl",
                                    "multi", "config", "admin", "status")]
CLASSES = {
    "OK": "", "RETRY": "Nothing is lost; the same call may succeed later.",
    "ENDED": "The session is over until somebody signs in, or an operator acts.",
    "CHALLENGE": "The platform wants an answer before it grants.",
    "UNKNOWN": "Whether the platform acted is not known.",
    "USAGE": "The call or its configuration is wrong.",
    "INTERNAL": "A defect, or a lack of memory.",
}
TYPES = {
    "BOOLEAN": "yes or no", "DURATION": "duration", "FILE": "file", "FORMAT": "word", "INCLUDE": "file",
    "LEVEL": "word", "NUMBER": "number", "ORIGIN": "origin", "ORIGINS": "origins", "PARTNER": "partner id",
    "PERMISSION": "permission", "PROXY": "proxy", "SOCKET": "socket", "STORE": "store", "TEXT": "text",
    "URL": "URL", "WORD": "word",
}


def escape(text):
    return text.replace("\\", "\\e").replace("-", "\\-")


def sentence(text):
    text = text[0].upper() + text[1:]
    return text if text.endswith(".") else text + "."


def prose(text):
    """Lines of mdoc: a line a sentence, and a macro for what stands between backticks."""
    lines = []
    parts = sentence(text).split("`")
    for index, part in enumerate(parts):
        if index % 2:
            follows = re.match(r"[.,;:)]+", parts[index + 1])
            after = follows.group() if follows else ""
            parts[index + 1] = parts[index + 1][len(after):]
            before = ""
            if lines and lines[-1].endswith("("):
                lines[-1], before = lines[-1][:-1].rstrip(), "( "
            quoted = escape(part) + ("\\&" if part[-1] in ".,;:)" else "")
            lines.append(f".Ql {before}{quoted}{''.join(' ' + mark for mark in after)}")
            continue
        for line in re.sub(r"(?<=[.]) (?=[A-Z])", "\n", part.strip()).split("\n"):
            lines += textwrap.wrap(line, 80, break_on_hyphens=False)
    return lines


def table(items):
    """(heads, text) as a list with tags."""
    lines = [".Bl -tag -width Ds"]
    for head, text in items:
        lines += [head, *text]
    return lines + [".El"]


def option_items(rows):
    items = []
    for name, argument, _verbs, environment, text in rows:
        lines = prose(text)
        if environment:
            lines += [f".Ev {environment}", "stands in for it."]
        items.append((f".It Fl Fl {escape(name)}" + (f" Ar {argument}" if argument else ""), lines))
    return items


def common_options():
    return table(option_items(row for row in options() if not row[2]))


def verb_options(verb):
    return table(option_items(options_of(verb)))


def environment():
    return table((f".It Ev {row[3]}", ["Stands in for", f".Fl Fl {escape(row[0])} ."])
                 for row in options() if row[3])


def exits():
    """What ends with which code."""
    codes = {}
    for name, _value, _cls, code, _http, text in statuses():
        codes.setdefault(int(code), []).append((name, text))
    items = []
    for code, rows in sorted(codes.items()):
        lines = []
        for name, text in rows:
            if name != "OK":
                lines += [".Pp"] if lines else []
                lines += [f".Dv FRESHET_{name} :", *prose(text)]
        items.append((f".It {code}", lines or ["Success."]))
    return table(items)


def errors():
    lines = []
    for cls, meaning in CLASSES.items():
        if not meaning:
            continue
        lines += [".Pp", "The class", f".Dv FRESHET_CLASS_{cls} .", meaning]
        lines += table((f".It Dv FRESHET_{name}", prose(text))
                       for name, _value, other, _code, _http, text in statuses() if other == cls)
    return lines[1:]


def section_keys(section):
    items = []
    for owner, name, kind, times, default, doc in keys():
        if owner != section:
            continue
        more = {"REQUIRED": "Required.", "MANY": "May stand several times.", "ONCE": ""}[times]
        lines = prose(doc) + ([more] if more else [])
        if default:
            lines += ["The default is", f".Ql {escape(default)} ."]
        items.append((f".It Cm {name} No = Ar {TYPES[kind]}", lines))
    return table(items)


def all_sections():
    lines = []
    for name, heading, doc in sections():
        lines += [f".Ss {'Anywhere' if not heading else '[' + heading + ']' + chr(92) + '&'}", *prose(doc)]
        lines += section_keys(name)
    return lines


def synopsis():
    lines = []
    found = functions()
    for header in sorted(found, key=lambda name: (HEADERS + [name]).index(name)):
        declarations = found[header]
        lines += [".Pp"] if lines else []
        lines += [f".In freshet/{header}"]
        for result, name, parameters in declarations:
            lines += [f'.Ft "{result}"' if " " in result else f".Ft {result}"]
            lines += [f".Fo {name}", *(f'.Fa "{parameter}"' for parameter in parameters), ".Fc"]
    return lines


WRITERS = {"options": common_options, "environment": environment, "exits": exits, "errors": errors,
           "sections": all_sections, "synopsis": synopsis}


def region(match):
    what = match.group(1)
    lines = verb_options(what[8:]) if what.startswith("options ") else WRITERS[what]()
    return f'.\\" begin {what}\n' + "\n".join(lines) + f'\n.\\" end {what}\n'


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    for path in sys.argv[1:]:
        with open(path, encoding="utf-8") as f:
            page = f.read()
        with open(path, "w", encoding="utf-8") as f:
            f.write(REGION.sub(region, page))


main()
