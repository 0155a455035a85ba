# SPDX-License-Identifier: Apache-2.0
"""Reads the tables of the .def files and the public headers: what the manual pages and completions are
made from."""
import glob
import os
import re
import sys

import gen_status

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FIELD = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|([^,"\s][^,"]*))\s*(?:,|$)')


def rows(path, macro):
    """The fields of each row of a macro: strings without quotes, words as they are, NULL as None."""
    out = []
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            match = re.fullmatch(rf"{macro}\((.*)\)\s*", line)
            if not match:
                if line.startswith(macro + "("):
                    sys.exit(f"{path}:{number}: not a row of {macro} in one line")
                continue
            fields, at = [], 0
            while at < len(match.group(1)):
                field = FIELD.match(match.group(1), at)
                if not field:
                    sys.exit(f"{path}:{number}: not a row of {macro}")
                text, word = field.groups()
                if text is not None:
                    fields.append(re.sub(r"\\(.)", r"\1", text))
                else:
                    fields.append(None if word.strip() == "NULL" else word.strip())
                at = field.end()
            out.append(fields)
    return out


OPTIONS = "edge/cli/options.def"
KEYS = "src/config/keys.def"
STATUSES = "spec/status.def"


def verbs():
    """(name, operands, help)"""
    return rows(OPTIONS, "FRESHET_VERB")


def options():
    """(name as it is typed, argument, verbs, environment, help)"""
    return [(name.replace("_", "-"), argument, names.split(), environment, text)
            for name, argument, names, environment, text in rows(OPTIONS, "FRESHET_OPTION")]


def options_of(verb):
    """Those that the verb alone, or some verbs, know."""
    return [option for option in options() if verb in option[2]]


def sections():
    """(name, heading, doc)"""
    return rows(KEYS, "FRESHET_SECTION")


def keys():
    """(section, name, type, times, default, doc)"""
    return rows(KEYS, "FRESHET_KEY")


def parameters_of(text):
    """Splits at the commas that are in no parentheses."""
    out, depth = [""], 0
    for char in " ".join(text.split()):
        depth += (char == "(") - (char == ")")
        if char == "," and depth == 0:
            out.append("")
        else:
            out[-1] += char
    return [parameter.strip() for parameter in out if parameter.strip() != "void"]


def declared(text):
    """(result, name, parameters) of each function that a header exports."""
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    out = []
    for declaration in re.findall(r"^FRESHET_EXPORT\s+([^;]+);", text, re.MULTILINE):
        result, name, parameters = re.fullmatch(r"(.*?)(\w+)\s*\((.*)\)", " ".join(declaration.split())).groups()
        out.append((result.strip(), name, parameters_of(parameters)))
    return out


def functions():
    """Those of each public header."""
    out = {}
    for path in sorted(glob.glob(os.path.join(ROOT, "include", "freshet", "*.h"))):
        with open(path, encoding="utf-8") as f:
            out[os.path.basename(path)] = declared(f.read())
    out["status.h"] = declared(gen_status.header([]))
    return {header: found for header, found in out.items() if found}


def statuses():
    """(name, value, class, exit, http, text)"""
    return rows(STATUSES, "FRESHET_STATUS")
