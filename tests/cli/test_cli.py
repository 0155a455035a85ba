#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of freshet, the command line: test_cli.py FRESHET DEVSERVER plain|sanitized. Prints TAP.

TEST_FILTER='a_wrong*' in the environment runs the cases whose names begin so."""

import os
import sys
import traceback

import harness

# Each adds its cases to harness.TESTS.
import line  # noqa: F401
import sessions  # noqa: F401
import setup  # noqa: F401
import sign_in  # noqa: F401


def main():
    binary, devserver = (os.path.abspath(path) for path in sys.argv[1:3])
    tests = harness.TESTS + (harness.PLAIN_TESTS if sys.argv[3] == "plain" else [])
    wanted = os.environ.get("TEST_FILTER", "").rstrip("*")
    tests = [one for one in tests if one.__name__.startswith(wanted)]
    print(f"1..{len(tests)}", flush=True)
    failed = 0
    platform = harness.Platform(devserver, binary)
    try:
        for number, function in enumerate(tests, 1):
            try:
                function(platform)
                print(f"ok {number} - {function.__name__}", flush=True)
            except Exception:  # every failure is that case's, and the next one's turn
                failed += 1
                for text in traceback.format_exc().splitlines():
                    print("# " + text)
                print(f"not ok {number} - {function.__name__}", flush=True)
    finally:
        platform.close()
    sys.exit(1 if failed else 0)


main()
