#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tools/test.py counts what went wrong, whatever way a test program goes wrong."""
import os
import sys

from tap import Tap

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(ROOT, "tools"))
from test import judge  # noqa: E402

# What it printed, meson's word, exit code; passed, failed, skipped, whether it is wrong as a whole.
CASES = {
    "a good program": ("1..2\nok 1 - a\nok 2 - b\n", "OK", 0, 2, 0, 0, False),
    "its plan last": ("ok 1 - a\nok 2 - b\n1..2\n", "OK", 0, 2, 0, 0, False),
    "a case that is left out": ("1..2\nok 1 - a\nok 2 - b # SKIP why\n", "OK", 0, 1, 0, 1, False),
    "all left out, with a reason": ("1..0 # SKIP why\n", "SKIP", 0, 0, 0, 1, False),
    "a case that fails": ("1..2\nok 1 - a\nnot ok 2 - b\n", "FAIL", 1, 1, 1, 0, False),
    "a failure without an exit code": ("1..1\nnot ok 1 - a\n", "FAIL", 0, 0, 1, 0, False),
    "a crash": ("1..2\nok 1 - a\n", "ERROR", -11, 1, 0, 0, True),
    "a sanitizer's report at the end": ("1..1\nok 1 - a\n", "ERROR", 23, 1, 0, 0, True),
    "a timeout": ("1..2\nok 1 - a\n", "TIMEOUT", -15, 1, 0, 0, True),
    "an end too early": ("1..3\nok 1 - a\n", "ERROR", 0, 1, 0, 0, True),
    "an end before the plan": ("ok 1 - a\n", "OK", 0, 1, 0, 0, True),
    "two plans": ("1..1\nok 1 - a\n1..1\n", "OK", 0, 1, 0, 0, True),
    "no case": ("1..0\n", "SKIP", 0, 0, 0, 0, True),
    "nothing printed": ("", "SKIP", 0, 0, 0, 0, True),
}


def misjudged(output, result, code, passed, failed, skipped, wrong):
    got = judge(output, result, code)
    got = (got[0], len(got[1]), got[2], got[3] is not None)
    want = (passed, failed, skipped, wrong)
    return [] if got == want else [f"got {got}, not {want}"]


def main():
    tap = Tap()
    for name, case in CASES.items():
        tap.case(name, misjudged(*case))
    tap.end()


main()
