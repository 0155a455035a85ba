#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The corpus of event sequences notices a core that is broken on purpose, and not one that is whole.

What takes a platform, a codec or time to notice is the simulator's (tests/sim/check_broken.py)."""
import os
import re
import subprocess
import sys

HEADER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../src/core/mutant.h")

NOTICED = ["NONE", "NO_LEASE", "NO_SWAP", "HASTY", "EXPIRED", "DROPS", "NO_GRACE", "READOPTS", "UNBIDDEN",
           "HALF", "UNDOES_SIGN_OUT", "WAITS", "LOOPS", "SLEEPLESS", "GIVES_UP"]


def numbers():
    """The values of enum fsh_mutant by name."""
    with open(HEADER, encoding="utf-8") as f:
        names = re.findall(r"^\s*FSH_MUTANT_(\w+),", f.read(), re.MULTILINE)
    return {name: number for number, name in enumerate(names)}


def main():
    number_of = numbers()
    failed = False
    for case, name in enumerate(NOTICED):
        number = number_of[name]
        result = subprocess.run(sys.argv[1:], capture_output=True, text=True,
                                env={**os.environ, "FRESHET_MUTANT": str(number)})
        found = re.findall(r"^broken: (.*)$", result.stderr, re.MULTILINE)
        if number == 0:
            good = result.returncode == 0 and not found
        else:
            good = result.returncode != 0 and len(found) == 1
        failed = failed or not good
        print(f"{'ok' if good else 'not ok'} {case + 1} - {name.lower().replace('_', '-')}")
        print(f"# {found[0] if found else 'nothing noticed'}")
    print(f"1..{len(NOTICED)}")
    sys.exit(1 if failed else 0)


main()
