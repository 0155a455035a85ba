#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The core is sans I/O: its objects need no symbol of clock, environment, files, sockets, randomness,
logging or memory."""
import glob
import os
import subprocess
import sys
import tempfile

from tap import Tap

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
GENERATED = sys.argv[1]  # where <freshet/status.h> is made
ALLOWED = {"memcpy", "memset", "memcmp", "memmove", "strlen", "strcmp", "strncmp"}


def undefined(paths, folder):
    """Compiles as shipped, without what sanitizers and hardening add; what is left undefined."""
    objects = []
    for path in paths:
        name = os.path.join(folder, os.path.basename(path) + ".o")
        subprocess.run(
            ["cc", "-std=c17", "-O2", "-fno-stack-protector", "-U_FORTIFY_SOURCE",
             "-I", os.path.join(ROOT, "src"), "-I", os.path.join(ROOT, "include"),
             "-I", GENERATED, "-c", path, "-o", name], check=True)
        objects.append(name)
    needed, defined = set(), set()
    for name in objects:
        out = subprocess.run(["nm", name], capture_output=True, text=True, check=True).stdout
        for line in out.splitlines():
            kind, symbol = line.split()[-2:]
            (needed if kind == "U" else defined).add(symbol)
    return needed - defined


def main():
    tap = Tap()
    with tempfile.TemporaryDirectory() as folder:
        core = sorted(glob.glob(os.path.join(ROOT, "src", "core", "*.c")))
        extra = undefined(core, folder) - ALLOWED
        tap.case("the core needs nothing from outside",
                 [f"it needs {symbol}" for symbol in sorted(extra)])
        problems = []
        for call in ("clock_gettime(0, 0)", 'getenv("x")', 'printf("x")', "malloc(1)", "random()"):
            path = os.path.join(folder, "guilty.c")
            with open(path, "w", encoding="utf-8") as f:
                f.write(f"int {call.split('(')[0]}(); int guilty(void);\n"
                        f"int guilty(void) {{ return {call} != 0; }}\n")
            subprocess.run(["cc", "-w", "-fno-builtin", "-c", path, "-o", path + ".o"], check=True)
            out = subprocess.run(["nm", "-u", path + ".o"], capture_output=True, text=True,
                                 check=True).stdout
            if not {line.split()[-1] for line in out.splitlines()} - ALLOWED:
                problems.append(f"{call} went through")
        tap.case("the check bites", problems)
    tap.end()


main()
