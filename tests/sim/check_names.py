#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The simulator's command line, and that its checkers and broken cores are complete: each checker has a
core that it catches, and docs/simulator.md has a row for each of both.

usage: check_names.py FRESHET-SIM BROKEN-CORE-WITH-A-TEST ..."""
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(ROOT, "tests", "checks"))
from tap import Tap  # noqa: E402

SIM, TESTED = sys.argv[1], set(sys.argv[2:])


def run(*arguments):
    return subprocess.run([SIM, *arguments], capture_output=True, text=True)


def names():
    """The checkers, and {broken core: its checker}."""
    checkers, _, cores = run("--list").stdout.partition("\n\n")
    return (re.findall(r"^  ([a-z0-9-]+) ", checkers, re.MULTILINE),
            dict(re.findall(r"^  ([a-z0-9-]+) +([a-z0-9-]+) ", cores, re.MULTILINE)))


def rows(page, heading):
    section = page.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return [tuple(re.findall(r"`([a-z0-9-]+)`", line.rsplit("|", 2)[0]))
            for line in section.splitlines() if line.startswith("| `")]


def differences(what, want, got):
    return [f"{what}: {name} is missing" for name in sorted(set(want) - set(got))] + \
           [f"{what}: {name} is too much" for name in sorted(set(got) - set(want))]


def refuses(*arguments, word):
    result = run(*arguments)
    return [] if result.returncode == 64 and word in result.stderr else \
        [f"{arguments}: {result.returncode}, {result.stderr[:200]}"]


def main():
    checkers, cores = names()
    with open(os.path.join(ROOT, "docs", "simulator.md"), encoding="utf-8") as f:
        page = f.read()
    trace = run("--trace", "--from", "7")
    tap = Tap()
    tap.case("there are checkers and broken cores",
             [] if len(checkers) > 10 and len(cores) > 10 else [str((checkers, cores))])
    tap.case("each checker has a broken core", differences("a core", checkers, cores.values()))
    tap.case("each broken core has a test", differences("a test", cores, TESTED))
    tap.case("docs/simulator.md has each checker",
             differences("the page", checkers, [row[0] for row in rows(page, "The checkers")]))
    tap.case("docs/simulator.md has each broken core with its checker",
             differences("the page", cores.items(), [row[:2] for row in rows(page, "Broken cores")]))
    tap.case("--broken says where the broken cores are",
             refuses("--broken", "drops", word="freshet-sim-broken"))
    tap.case("wrong usage is refused", refuses("--seeds", "-1", word="usage:") +
             refuses("--jobs", "0", word="usage:") + refuses("7", word="usage:"))
    tap.case("a seed is the same run each time, in words",
             [] if trace.returncode == 0 and trace.stdout == run("--trace", "--from", "7").stdout and
             "hands out access token" in trace.stdout else [trace.stdout[-300:]])
    several = [run("--seeds", "40", "--jobs", jobs).stdout.split(" in ")[0] for jobs in ("1", "3")]
    tap.case("several processes count what one does",
             [] if several[0] == several[1] and several[0].startswith("40 seeds, 0 broken") else several)
    tap.end()


main()
