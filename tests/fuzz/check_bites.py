#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The corpus of event sequences notices a core that is broken on purpose, and not one that is whole."""
import os
import re
import subprocess
import sys

HEADER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../src/core/mutant.h")


def mutants():
    """The names of enum fsh_mutant, by their numbers; 0 is none."""
    with open(HEADER, encoding="utf-8") as f:
        names = re.findall(r"^\s*FSH_MUTANT_(\w+),", f.read(), re.MULTILINE)
    return names


def main():
    names = mutants()
    failed = False
    for number, name in enumerate(names):
        result = subprocess.run(sys.argv[1:], capture_output=True, text=True,
                                env={**os.environ, "FRESHET_MUTANT": str(number)})
        found = re.findall(r"^broken: (.*)$", result.stderr, re.MULTILINE)
        if number == 0:
            good = result.returncode == 0 and not found
        else:
            good = result.returncode != 0 and len(found) == 1
        failed = failed or not good
        print(f"{'ok' if good else 'not ok'} {number + 1} - {name.lower().replace('_', '-')}")
        print(f"# {found[0] if found else 'nothing noticed'}")
    print(f"1..{len(names)}")
    sys.exit(1 if failed or len(names) < 2 else 0)


main()
