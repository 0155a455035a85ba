#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The manual pages say all that there is: verbs, options, variables, statuses, keys and functions, by the
tables that those are made from; and what they name is there."""
import os
import re
import shutil
import subprocess
import sys
import tempfile

from tap import Tap

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tools"))
import tables  # noqa: E402  pylint: disable=wrong-import-position

PAGES = ("freshet.1", "freshet.conf.5", "libfreshet.3", "freshetd.8")


def page(name):
    with open(os.path.join(ROOT, "docs", "man", name), encoding="utf-8") as f:
        return f.read()


def regions():
    """What is between begin and end is what gen_man.py writes there."""
    problems = []
    with tempfile.TemporaryDirectory() as folder:
        paths = [shutil.copy(os.path.join(ROOT, "docs", "man", name), folder) for name in PAGES]
        subprocess.run(["/usr/bin/python3", "tools/gen_man.py", *paths], cwd=ROOT, check=True)
        for name, path in zip(PAGES, paths):
            with open(path, encoding="utf-8") as f:
                if f.read() != page(name):
                    problems.append(f"docs/man/{name} is old: tools/gen_man.py docs/man/{name}")
    return problems


def sections(text, macro):
    """The text below each heading."""
    parts = re.split(rf"^\.{macro} (.*)\n", text, flags=re.MULTILINE)
    return list(zip(parts[1::2], parts[2::2]))


def option_line(name):
    return ".It Fl Fl " + name.replace("-", "\\-")


def has_option(text, name):
    return re.search(re.escape(option_line(name)) + r"( |$)", text, re.MULTILINE) is not None


def about_verb(text, verb):
    """Everything below the headings of a verb."""
    found = [body for heading, body in sections(text, "Ss")
             if re.match(rf"freshet {verb}( |$)", heading)]
    return "\n".join(found)


def verbs(text):
    problems = []
    for name, _operands, _help in tables.verbs():
        if not about_verb(text, name):
            problems.append(f"the verb {name} has no heading")
    known = {name for name, _operands, _help in tables.verbs()}
    for heading, _body in sections(text, "Ss"):
        words = heading.split()
        if words[0] == "freshet" and words[1] not in known:
            problems.append(f"there is no verb {words[1]}")
    return problems


def operands(text):
    """Each word that stands for itself among a verb's operands, such as `rotate`."""
    problems = []
    for name, shown, _help in tables.verbs():
        for word in re.findall(r"\b[a-z]+\b", shown):
            if not re.search(rf"(Ss|Cm) .*\b{word}\b", about_verb(text, name) + "".join(
                    f"Ss {heading}\n" for heading, _body in sections(text, "Ss"))):
                problems.append(f"freshet {name} {word} is not described")
    return problems


def options(text):
    problems = []
    common = "".join(body for heading, body in sections(text, "Ss") if heading == "Options of all verbs")
    for name, _argument, of_verbs, environment, _help in tables.options():
        if not of_verbs and not has_option(common, name):
            problems.append(f"--{name} is not among the options of all verbs")
        problems += [f"freshet {verb} --{name} is not described" for verb in of_verbs
                     if verb in {row[0] for row in tables.verbs()} and not has_option(about_verb(text, verb), name)]
        if environment and f".It Ev {environment}\n" not in text:
            problems.append(f"the variable {environment} is not described")
    known = {option_line(row[0]) for row in tables.options()}
    problems += [f"there is no option {line}" for line in re.findall(r"^\.It Fl Fl [^ \n]+", text, re.MULTILINE)
                 if line not in known]
    return problems


def statuses(text):
    return [f"FRESHET_{row[0]} is not described" for row in tables.statuses()
            if row[0] != "OK" and not re.search(rf"FRESHET_{row[0]}\b", text)]


def exit_codes(text):
    return [f"exit code {code} is not described" for code in sorted({row[3] for row in tables.statuses()})
            if f".It {code}\n" not in text]


def keys(text):
    problems = []
    found = dict(sections(text, "Ss"))
    headings = {name: f"[{heading}]\\&" if heading else "Anywhere" for name, heading, _doc in tables.sections()}
    for section, name, *_rest in tables.keys():
        if f".It Cm {name} " not in found.get(headings[section], ""):
            problems.append(f"the key {name} is not below {headings[section]}")
    return problems


def functions(text):
    """Each is in the synopsis with its prototype (which gen_man.py sees to), and explained."""
    description = dict(sections(text, "Sh"))["DESCRIPTION"]
    explained = set(re.findall(r"^\.Fn (\w+)", description, re.MULTILINE))
    exported = {name for found in tables.functions().values() for _result, name, _parameters in found}
    return ([f"{name} is not explained" for name in sorted(exported - explained)] +
            [f"{name} is explained and does not exist" for name in sorted(explained - exported)] +
            ([] if len(exported) > 50 else ["where are the functions?"]))


def library(path):
    """The headers' functions are those that the library exports."""
    out = subprocess.run(["nm", "-D", "--defined-only", path], capture_output=True, text=True,
                         check=True).stdout
    have = {line.split()[-1] for line in out.splitlines() if line.split()[-1].startswith("freshet_")}
    want = {name for found in tables.functions().values() for _result, name, _parameters in found}
    return [f"{name} is exported and in no manual" for name in sorted(have - want)]


def links():
    """A page that another names is there, if it is ours."""
    problems = []
    for name in PAGES:
        for title, section in re.findall(r"^\.Xr (\S+) (\d)", page(name), re.MULTILINE):
            if "freshet" in title and f"{title}.{section}" not in PAGES:
                problems.append(f"{name}: there is no {title}({section})")
    return problems


def bites():
    """Whether the checks notice what is missing."""
    command, conf, api = map(page, PAGES[:3])
    guilty = [
        (verbs, command.replace(".Ss freshet explain", ".Ss freshet expound")),
        (options, command.replace(".It Fl Fl no\\-qr\n", "")),
        (options, command.replace("FRESHET_PARTNER\n", "FRESHET_PARTY\n")),
        (operands, command.replace("key rotate", "key")),
        (statuses, api.replace("FRESHET_EMFACODE", "FRESHET_EMFA")),
        (keys, conf.replace(".It Cm key_file", ".It Cm keyfile")),
        (functions, api.replace(".Fn freshet_unauthorized\n", "")),
    ]
    return [f"{check.__name__} notices nothing" for check, text in guilty if not check(text)]


def main():
    command, conf, api = map(page, PAGES[:3])
    tap = Tap()
    tap.case("the pages are what the tables say", regions())
    tap.case("every verb is described", verbs(command))
    tap.case("every word that a verb takes is described", operands(command))
    tap.case("every option and variable is described", options(command))
    tap.case("every exit code and status is in freshet(1)", exit_codes(command) + statuses(command))
    tap.case("every status is in libfreshet(3)", statuses(api))
    tap.case("every key is in freshet.conf(5)", keys(conf))
    tap.case("every function is explained in libfreshet(3)", functions(api))
    if len(sys.argv) > 1:
        tap.case("what libfreshet exports is in libfreshet(3)", library(sys.argv[1]))
    tap.case("pages that are named are there", links())
    tap.case("the checks bite", bites())
    tap.end()


main()
