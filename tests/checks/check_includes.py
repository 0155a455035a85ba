#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Who may include whom: base <- core, profile, config <- store <- engine <- lib <- keeper; the edge and
the tools use public headers only; which folder may see which library; and that every source is built."""
import os
import re
import tempfile

from tap import Tap

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# A folder below src/, and those that it may include besides itself.
ALLOWED = {
    "base": set(),
    "core": {"base"},
    "profile": {"base"},
    "config": {"base"},
    "store": {"base", "core", "profile", "config"},
    "engine": {"base", "core", "profile", "config", "store"},
    "lib": {"base", "core", "profile", "config", "store", "engine"},
    "keeper": {"base", "core", "profile", "config", "store", "engine", "lib"},
}
LIBRARIES = {
    "sodium.h": {"base", "profile", "store", "engine", "lib", "keeper"},
    "jansson.h": {"profile", "config", "keeper"},
    "curl/curl.h": {"engine", "lib"},
    "microhttpd.h": {"keeper"},
    "ini.h": {"config"},
    "sqlite3.h": {"store"},
    "uthash.h": {"keeper"},
    "libpq-fe.h": {"store"},
}
# What libc brings, besides sys/ and the like: everything else is a library, and must stand above.
LIBC = {name + ".h" for name in """
    assert ctype dirent endian err errno fcntl float getopt glob grp ifaddrs inttypes iso646 limits locale
    math netdb poll pthread pwd regex sched search semaphore setjmp signal spawn stdalign stdarg
    stdatomic stdbool stddef stdint stdio stdlib stdnoreturn string strings syslog termios threads
    time uchar unistd wchar wctype""".split()}
LIBC_FOLDERS = {"arpa", "linux", "net", "netinet", "sys"}
# Folders outside src/, and the folders of src/ that they may include.
OUTSIDE = {
    "devserver": set(),
    "tools": set(),
    "edge": set(),
    "sim": {"base", "core", "store"},
    "include": set(),
    "bench": {"base", "core", "store"},
    "fuzz": {"base", "core", "profile", "config", "store", "engine"},
    "tests/lib": set(),
    "tests/support": set(),
}
INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]')


def includes(path):
    with open(path, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            match = INCLUDE.match(line)
            if match:
                yield number, match.group(2), match.group(1) == "<"


def sources(root, top):
    for folder, _dirs, files in os.walk(os.path.join(root, top)):
        for name in sorted(files):
            if name.endswith((".c", ".h")):
                yield os.path.join(folder, name)


def unknown(name):
    """Whether <name> is neither libc's, nor ours, nor a library that has its folders above."""
    folder = name.split("/")[0] if "/" in name else None
    return not (name in LIBC or name in LIBRARIES or folder in LIBC_FOLDERS or folder == "freshet")


def below_src(root):
    problems = []
    for path in sources(root, "src"):
        short = os.path.relpath(path, root)
        me = short.split(os.sep)[1]
        if me not in ALLOWED:
            problems.append(f"{short}: src/{me} is no folder of the design")
            continue
        for number, name, angle in includes(path):
            other = name.split("/")[0]
            if other == "..":
                problems.append(f"{short}:{number}: write {name} relative to src/")
            if angle and unknown(name):
                problems.append(f"{short}:{number}: <{name}> has no folder that may see it")
            if other in ALLOWED and other != me and other not in ALLOWED[me]:
                problems.append(f"{short}:{number}: src/{me} must not include {name}")
            if name in LIBRARIES and me not in LIBRARIES[name]:
                problems.append(f"{short}:{number}: src/{me} must not see <{name}>")
    return problems


def outside_src(root):
    problems = []
    for top, allowed in OUTSIDE.items():
        for path in sources(root, top):
            short = os.path.relpath(path, root)
            for number, name, _angle in includes(path):
                other = name.split("/")[0]
                if "/" in name and other in ALLOWED and other not in allowed:
                    problems.append(f"{short}:{number}: {top}/ must not include {name}")
                if name.startswith(("src/", "../")):
                    problems.append(f"{short}:{number}: {top}/ must not include {name}")
    return problems


def unlisted(root):
    """Sources that no target of the root meson.build has."""
    with open(os.path.join(root, "meson.build"), encoding="utf-8") as f:
        listed = set(re.findall(r"'([^']+\.c)'", f.read()))
    shorts = [os.path.relpath(path, root) for top in ("src", "devserver", "edge", "sim", "tools")
              for path in sources(root, top) if path.endswith(".c")]
    return [f"{short} is in no target" for short in shorts if short not in listed]


def bites(relative, line):
    """Whether a tree with that one line is found guilty."""
    with tempfile.TemporaryDirectory() as root:
        path = os.path.join(root, relative)
        os.makedirs(os.path.dirname(path))
        with open(path, "w", encoding="utf-8") as f:
            f.write(line + "\n")
        return bool(below_src(root) + outside_src(root))


def main():
    tap = Tap()
    tap.case("src/ includes from left to right only", below_src(ROOT))
    tap.case("sim, devserver, tools and public headers keep out of src/", outside_src(ROOT))
    tap.case("every source is listed in meson.build", unlisted(ROOT))
    guilty = [
        ("src/core/x.c", '#include "engine/engine.h"'),
        ("src/core/x.c", '#include "profile/profile.h"'),
        ("src/base/x.h", '#include "core/session.h"'),
        ("src/engine/x.c", '#include <jansson.h>'),
        ("src/other/x.c", ""),
        ("src/core/x.c", '#include "../engine/engine.h"'),
        ("src/core/x.c", '# include"store/store.h"'),
        ("src/base/x.c", '#include <openssl/evp.h>'),
        ("src/lib/x.c", '#include <zlib.h>'),
        ("tests/lib/x.c", '#include "engine/engine.h"'),
        ("devserver/x.c", '#include "base/secret.h"'),
        ("sim/x.c", '#include "engine/engine.h"'),
        ("tools/x.c", '#include "lib/internal.h"'),
        ("src/config/x.c", '#include "store/store.h"'),
        ("src/config/x.c", '#include "profile/profile.h"'),
        ("src/core/x.c", '#include <ini.h>'),
        ("edge/cli/x.c", '#include "config/config.h"'),
    ]
    innocent = [
        ("src/engine/x.c", '#include "core/session.h"'),
        ("src/engine/x.c", '#include <curl/curl.h>'),
        ("src/core/x.h", '#include <stdint.h>'),
        ("src/config/x.c", '#include <ini.h>'),
        ("edge/cli/x.c", '#include <freshet/config.h>'),
        ("src/core/x.h", '#include <freshet/status.h>'),
        ("sim/x.c", '#include "store/codec.h"'),
    ]
    tap.case("the check bites",
             [f"{path}: {line} went through" for path, line in guilty if not bites(path, line)] +
             [f"{path}: {line} was refused" for path, line in innocent if bites(path, line)])
    tap.end()


main()
