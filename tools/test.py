#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every test, sanitizers on; and, optimised, the simulator's many seeds, the kill test's many kills and
the command line as it ships. Ends with one line `N passed, N failed`.

usage: test.py [MESON-TEST-ARGUMENT ...], for example `test.py --suite unit`
"""
import json
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# Each build folder, its options, and the suites that run in it: with ThreadSanitizer those that have
# threads.
BUILDS = [
    ("build-test", ["-Db_sanitize=address,undefined", "-Dbuildtype=debug", "-Db_lundef=false"], []),
    ("build-tsan", ["-Db_sanitize=thread", "-Dbuildtype=debugoptimized", "-Db_lundef=false"],
     ["--suite", "lib", "--suite", "threads"]),
    ("build", [], ["--suite", "sim", "--suite", "cli", "--suite", "kill", "--suite", "canary",
      "--suite", "keeper"]),
]

CASE = re.compile(r"(not )?ok\b\s*\d*\s*(?:- )?(.*)")
PLAN = re.compile(r"1\.\.(\d+)(\s*#\s*SKIP\b.*)?")
SKIP = re.compile(r"#\s*SKIP\b", re.IGNORECASE)


def build(folder, options):
    result = subprocess.run(["tools/build.sh", folder, *options], cwd=ROOT)
    if result.returncode != 0:
        print(f"{folder}: does not build")
        print("0 passed, 1 failed")
        sys.exit(1)


def fixed_addresses():
    """The ThreadSanitizer of gcc 12 dies where the kernel spreads addresses further than it knows
    (vm.mmap_rnd_bits above 28). Not everyone may ask the kernel not to, as in some containers."""
    command = ["setarch", "-R"]
    try:
        works = subprocess.run([*command, "true"], capture_output=True).returncode == 0
    except FileNotFoundError:
        works = False
    return command if works else []


def run(folder, arguments):
    """Runs the tests of a folder; returns (passed, failed, skipped)."""
    environment = dict(os.environ)
    environment.setdefault("ASAN_OPTIONS", "detect_leaks=1:abort_on_error=0")
    environment.setdefault("TSAN_OPTIONS", "halt_on_error=1")
    environment.setdefault("UBSAN_OPTIONS", "print_stacktrace=1:halt_on_error=1")
    log = os.path.join(ROOT, folder, "meson-logs", "testlog.json")
    if os.path.exists(log):
        os.unlink(log)  # what an earlier run left there must not be counted again
    prefix = fixed_addresses() if folder == "build-tsan" else []
    result = subprocess.run(
        [*prefix, "meson", "test", "-C", folder, "--no-rebuild", "--print-errorlogs",
         "--num-processes", "4", *arguments],
        cwd=ROOT, env=environment)
    passed, failed, skipped = count(log)
    if result.returncode != 0 and failed == 0:
        print(f"FAILED  {folder}: meson test ends with {result.returncode}")
        failed = 1
    return passed, failed, skipped


def judge(output, result, code):
    """What a program's TAP output, meson's word on it and its exit code come to: cases passed, names of
    those failed, cases skipped, and what is wrong with the program as a whole, or None."""
    passed, failed, skipped, plans = 0, [], 0, []
    for line in output.splitlines():
        plan, case = PLAN.fullmatch(line.strip()), CASE.match(line)
        if plan:
            plans.append(plan)
        elif case and case.group(1):
            failed.append(case.group(2))
        elif case and SKIP.search(line):
            skipped += 1
        elif case:
            passed += 1
    cases = passed + len(failed) + skipped
    wrong = None
    if code != 0 and not failed or result not in ("OK", "SKIP", "FAIL"):
        wrong = f"{result}, exit code {code}"
    elif len(plans) != 1:
        wrong = f"{len(plans)} plans"
    elif int(plans[0].group(1)) != cases:
        wrong = f"{plans[0].group(1)} cases planned, {cases} run"
    elif cases == 0 and plans[0].group(2):
        skipped = 1
    elif cases == 0:
        wrong = "no case"
    return passed, failed, skipped, wrong


def count(path):
    """Counts the cases in meson's log. A program that failed as a whole (a crash, a sanitizer's report,
    a wrong plan, no case at all) counts as one failure, unless cases of its own have failed."""
    if not os.path.exists(path):
        return 0, 0, 0
    totals = [0, 0, 0]
    with open(path, encoding="utf-8") as f:
        for entry in map(json.loads, f):
            passed, failed, skipped, wrong = judge(
                entry.get("stdout", ""), entry["result"], entry.get("returncode", 0))
            for name in failed:
                print(f"FAILED  {entry['name']}: {name}")
            if wrong:
                print(f"FAILED  {entry['name']}: {wrong}")
            totals[0] += passed
            totals[1] += len(failed) or bool(wrong)
            totals[2] += skipped
    return tuple(totals)


def main():
    totals = [0, 0, 0]
    for folder, options, suites in BUILDS:
        if suites and len(sys.argv) > 1:
            continue
        build(folder, options)
        counted = run(folder, sys.argv[1:] or suites)
        totals = [total + more for total, more in zip(totals, counted)]
    line = f"{totals[0]} passed, {totals[1]} failed"
    if totals[2]:
        line += f", {totals[2]} skipped"
    print(line)
    sys.exit(1 if totals[1] or totals[0] == 0 else 0)


if __name__ == "__main__":
    main()
