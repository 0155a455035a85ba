#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The documentation hangs together, and nothing is committed that must not be."""
import os
import re
import subprocess
import tempfile

from tap import Tap

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")
# Spelt so that this file does not find itself.
FORBIDDEN = [re.compile(pattern) for pattern in (
    r"registry\.np" + r"mjs", r"registry\.ya" + r"rnpkg", r"deb\.debi" + r"an\.org",
    r"\bpy" + r"pi\.org", r"python" + r"hosted\.org", r"\bcrates" + r"\.io", r"proxy\.go" + r"lang",
    r"\bTO" + r"DO\b", r"\bFIX" + r"ME\b", r"\bXX" + r"X\b",
    r"/ro" + r"ot/", r"/wo" + r"rk/", r"/ho" + r"me/[a-z]")]


def files():
    out = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [name for name in out.splitlines() if os.path.isfile(os.path.join(ROOT, name))]


def read(name):
    with open(os.path.join(ROOT, name), encoding="utf-8", errors="replace") as f:
        return f.read()


def links(names):
    problems = []
    for name in names:
        if not name.endswith(".md"):
            continue
        for target in LINK.findall(read(name)):
            if "://" in target or target.startswith("mailto:"):
                continue
            if not os.path.exists(os.path.join(ROOT, os.path.dirname(name), target)):
                problems.append(f"{name}: {target} does not exist")
    return problems


def forbidden(names):
    problems = []
    for name in names:
        if name == "LICENSE":
            continue
        for number, line in enumerate(read(name).splitlines(), 1):
            for pattern in FORBIDDEN:
                if pattern.search(line):
                    problems.append(f"{name}:{number}: {line.strip()[:80]}")
    return problems


def decisions(names):
    index = read("docs/decisions/README.md")
    return [f"{name} is not in the index" for name in names
            if re.match(r"docs/decisions/\d+", name) and os.path.basename(name) not in index]


def statuses():
    with tempfile.NamedTemporaryFile("r", suffix=".md") as fresh:
        subprocess.run(["/usr/bin/python3", "tools/gen_status.py", "page", "spec/status.def",
                        fresh.name], cwd=ROOT, check=True)
        if fresh.read() == read("docs/status.md"):
            return []
    return ["docs/status.md is old: tools/gen_status.py page spec/status.def docs/status.md"]


def configuration():
    """Every key stands in the page, as the table of keys has it."""
    result = subprocess.run(["/usr/bin/python3", "tools/gen_config.py", "check", "src/config/keys.def",
                             "docs/configuration.md"], cwd=ROOT)
    if result.returncode == 0:
        return []
    return ["docs/configuration.md is old: tools/gen_config.py page src/config/keys.def docs/configuration.md"]


def rules():
    page = read("spec/rules.md")
    return [f"no section for rule {n}" for n in range(1, 14)
            if not re.search(rf"^## {n}\. \w", page, re.MULTILINE)]


def comments(names):
    """Every exported function has a doc comment right before it."""
    problems = []
    for name in names:
        if not name.startswith("include/freshet/") or not name.endswith(".h"):
            continue
        lines = read(name).splitlines()
        for number, line in enumerate(lines):
            if line.startswith("FRESHET_EXPORT ") and not lines[number - 1].rstrip().endswith("*/"):
                problems.append(f"{name}:{number + 1}: {line.strip()} has no comment")
    return problems


def main():
    names = files()
    tap = Tap()
    tap.case("links lead somewhere", links(names))
    tap.case("nothing is committed that must not be", forbidden(names))
    tap.case("every decision is in the index", decisions(names))
    tap.case("docs/status.md is what spec/status.def says", statuses())
    tap.case("docs/configuration.md has the keys of src/config/keys.def", configuration())
    tap.case("spec/rules.md has the thirteen rules", rules())
    tap.case("every exported function is documented", comments(names))
    tap.end()


main()
