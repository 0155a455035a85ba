#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every test, sanitizers on. Ends with one line `N passed, N failed`.

usage: test.py [MESON-TEST-ARGUMENT ...], for example `test.py --suite unit`
"""
import os
import subprocess
import sys
import xml.etree.ElementTree as ET

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# Each build folder, its options, and the suites that run in it.
BUILDS = [
    ("build-test", ["-Db_sanitize=address,undefined", "-Dbuildtype=debug", "-Db_lundef=false"], []),
    ("build-tsan", ["-Db_sanitize=thread", "-Dbuildtype=debugoptimized", "-Db_lundef=false"],
     ["--suite", "lib"]),
]


def build(folder, options):
    result = subprocess.run(["tools/build.sh", folder, *options], cwd=ROOT)
    if result.returncode != 0:
        print(f"{folder}: does not build")
        print("0 passed, 1 failed")
        sys.exit(1)


def run(folder, arguments):
    """Runs the tests of a folder; returns (passed, failed, skipped)."""
    environment = dict(os.environ)
    environment.setdefault("ASAN_OPTIONS", "detect_leaks=1:abort_on_error=0")
    environment.setdefault("TSAN_OPTIONS", "halt_on_error=1")
    environment.setdefault("UBSAN_OPTIONS", "print_stacktrace=1:halt_on_error=1")
    subprocess.run(
        ["meson", "test", "-C", folder, "--no-rebuild", "--print-errorlogs",
         "--num-processes", "4", *arguments],
        cwd=ROOT, env=environment)
    return count(os.path.join(ROOT, folder, "meson-logs", "testlog.junit.xml"))


def count(path):
    """Counts the cases. A program that failed as a whole (a crash, a sanitizer's report, a wrong
    plan, no case at all) counts as one failure more than its cases say."""
    passed = failed = skipped = 0
    for suite in ET.parse(path).getroot().iter("testsuite"):
        good = bad = left_out = 0
        for case in suite.iter("testcase"):
            if case.find("failure") is not None or case.find("error") is not None:
                bad += 1
                print(f"FAILED  {suite.get('name')}: {case.get('name')}")
            elif case.find("skipped") is not None:
                left_out += 1
            else:
                good += 1
        if good + bad + left_out == 0:
            bad += 1
            print(f"FAILED  {suite.get('name')}: no case ran")
        passed, failed, skipped = passed + good, failed + bad, skipped + left_out
    return passed, failed, skipped


def whole_programs(path):
    """Programs that failed as a whole, from meson's own log."""
    import json
    failures = 0
    with open(path, encoding="utf-8") as f:
        for line in f:
            entry = json.loads(line)
            if entry["result"] in ("OK", "SKIP", "EXPECTEDFAIL"):
                continue
            failures += 1
            print(f"FAILED  {entry['name']} as a whole: {entry['result']}")
    return failures


def main():
    totals = [0, 0, 0]
    for folder, options, suites in BUILDS:
        if suites and len(sys.argv) > 1:
            continue
        build(folder, options)
        passed, failed, skipped = run(folder, sys.argv[1:] or suites)
        broken = whole_programs(os.path.join(ROOT, folder, "meson-logs", "testlog.json"))
        # A program that is broken though none of its cases failed is a failure of its own.
        if broken and failed == 0:
            failed = broken
        totals = [totals[0] + passed, totals[1] + failed, totals[2] + skipped]
    line = f"{totals[0]} passed, {totals[1]} failed"
    if totals[2]:
        line += f", {totals[2]} skipped"
    print(line)
    sys.exit(1 if totals[1] or totals[0] == 0 else 0)


main()
