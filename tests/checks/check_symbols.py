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

# By its address, so that the compiler neither knows the function nor leaves the call out.
GUILTY = """
extern char outside __asm__("NAME");
char *guilty(void);
char *guilty(void)
{
    return &outside;
}
"""


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
        for name in ("clock_gettime", "getenv", "printf", "open", "socket", "random", "malloc"):
            path = os.path.join(folder, "guilty.c")
            with open(path, "w", encoding="utf-8") as f:
                f.write(GUILTY.replace("NAME", name))
            if undefined([path], folder) - ALLOWED != {name}:
                problems.append(f"{name} went through")
        tap.case("the check bites", problems)
    tap.end()


main()
