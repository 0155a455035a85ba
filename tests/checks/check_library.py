#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""libfreshet as a program meets it: what it exports, that each header stands alone in C and in C++, and
that an installed copy is found through pkg-config, linked and run."""
import glob
import os
import re
import subprocess
import sys
import tempfile

from tap import Tap

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LIBRARY, GENERATED, BUILD = sys.argv[1:4]

PROGRAM = """
#include <freshet/freshet.h>
#include <stdio.h>
int main(void)
{
    struct freshet_options options = FRESHET_OPTIONS_INIT;
    struct freshet *freshet = NULL;
    struct freshet_error error;
    options.url = "https://api.example.com";
    if (freshet_open(&options, &freshet, &error) != FRESHET_OK) {
        puts(error.message);
        return 1;
    }
    freshet_close(freshet);
    return 0;
}
"""


def public_headers():
    return sorted(glob.glob(os.path.join(ROOT, "include", "freshet", "*.h")) +
                  [os.path.join(GENERATED, "freshet", "status.h")])


def declared():
    names = set()
    for path in public_headers():
        with open(path, encoding="utf-8") as f:
            text = re.sub(r"/\*.*?\*/", "", f.read(), flags=re.DOTALL)
        for declaration in re.findall(r"^FRESHET_EXPORT\s+([^;]+);", text, re.MULTILINE):
            names.add(re.search(r"(\w+)\s*\(", declaration).group(1))
    return names


def exported():
    out = subprocess.run(["nm", "-D", "--defined-only", LIBRARY], capture_output=True, text=True,
                         check=True).stdout
    return {line.split()[-1] for line in out.splitlines() if line.split()[-2] in "TDBRVW"}


def exports():
    want, have = declared(), exported()
    # What a sanitizer adds is not ours.
    have = {name for name in have if not name.startswith(("__asan", "__ubsan", "__odr_asan"))}
    return ([f"{name} is declared and not exported" for name in sorted(want - have)] +
            [f"{name} is exported and not declared" for name in sorted(have - want)])


def headers(compiler, standard, language):
    problems = []
    for path in public_headers():
        name = os.path.basename(path)
        result = subprocess.run(
            [compiler, f"-std={standard}", "-x", language, "-Wall", "-Wextra", "-pedantic", "-Werror",
             "-fsyntax-only", "-I", os.path.join(ROOT, "include"), "-I", GENERATED, "-"],
            input=f"#include <freshet/{name}>\nextern int alone;\n", capture_output=True, text=True)
        if result.returncode != 0:
            problems.append(f"{name}: {result.stderr.splitlines()[0]}")
    return problems


def installed():
    with tempfile.TemporaryDirectory() as folder:
        environment = dict(os.environ, DESTDIR=folder)
        subprocess.run(["meson", "install", "-C", BUILD, "--no-rebuild", "--quiet"],
                       env=environment, check=True, stdout=subprocess.DEVNULL)
        pc = [os.path.join(where, "freshet.pc") for where, _dirs, files in os.walk(folder)
              if "freshet.pc" in files]
        if not pc:
            return ["no freshet.pc was installed"]
        environment["PKG_CONFIG_PATH"] = os.path.dirname(pc[0])
        environment["PKG_CONFIG_SYSROOT_DIR"] = folder
        flags = subprocess.run(["pkg-config", "--cflags", "--libs", "freshet"], env=environment,
                               capture_output=True, text=True, check=True).stdout.split()
        source, program = os.path.join(folder, "p.c"), os.path.join(folder, "p")
        with open(source, "w", encoding="utf-8") as f:
            f.write(PROGRAM)
        sanitizer = ["-fsanitize=address,undefined"] if "__asan_init" in undefined() else []
        subprocess.run(["cc", *sanitizer, source, "-o", program, *flags], check=True)
        libraries = os.path.dirname(os.path.dirname(pc[0]))
        environment["LD_LIBRARY_PATH"] = libraries
        result = subprocess.run([program], env=environment, capture_output=True, text=True)
        return [] if result.returncode == 0 else [result.stdout + result.stderr]


def undefined():
    return subprocess.run(["nm", "-D", "-u", LIBRARY], capture_output=True, text=True,
                          check=True).stdout


def main():
    tap = Tap()
    tap.case("what is declared is exported, and nothing else", exports())
    tap.case("each public header compiles alone as C17", headers("cc", "c17", "c"))
    tap.case("each public header compiles alone as C++17", headers("c++", "c++17", "c++"))
    tap.case("an installed library is found, linked and run", installed())
    tap.end()


main()
