# SPDX-License-Identifier: Apache-2.0
"""Looks for many secrets in the memory of processes, in one pass."""
import base64
import os
import re
import subprocess
import sys

WINDOW = 16  # bytes that are compared
STRIDE = 8   # so whatever has WINDOW + STRIDE - 1 bytes of a secret in a row is found

_MAPPING = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ (\d+)\s*(.*)")


def mappings(pid):
    """(begin, end, name) of all that can be read of a process."""
    with open(f"/proc/{pid}/maps", encoding="utf-8") as file:
        for line in file:
            begin, end, access, _, name = _MAPPING.match(line).groups()
            # What the kernel lays there is nobody's memory.
            if access.startswith("r") and name not in ("[vvar]", "[vvar_vclock]", "[vsyscall]"):
                yield int(begin, 16), int(end, 16), name


def image(pid):
    """[(where, bytes)]: the memory of a process."""
    parts = []
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for begin, end, name in mappings(pid):
            memory.seek(begin)
            content = bytearray()
            while len(content) < end - begin:
                try:
                    part = memory.read(end - begin - len(content))
                except OSError:  # a hole in a file's mapping
                    break
                if not part:
                    break
                content += part
            parts.append((f"{begin:x} {name}", bytes(content)))
    return parts


def forms(secret):
    """As it is, and as programs may write it."""
    yield secret
    yield secret.hex().encode()
    for shift in range(3):
        yield base64.b64encode(b"\0" * shift + secret)[4 if shift else 0:].rstrip(b"=")
    yield secret.decode().encode("utf-16-le")


class Index:
    """Secrets by all their windows. Of a short one it is the whole that is looked for."""

    def __init__(self, secrets):
        """`secrets`: text -> kind."""
        self.windows = {}
        self.short = {}
        common = set()
        for text, kind in secrets.items():
            raw = text.encode()
            if len(raw) < WINDOW + STRIDE - 1:
                self.short.update(dict.fromkeys(set(forms(raw)), kind))
                continue
            for form in set(forms(raw)):
                for at in range(len(form) - WINDOW + 1):
                    window = form[at:at + WINDOW]
                    if self.windows.setdefault(window, (text, kind))[0] != text:
                        common.add(window)
        # What several have in common, such as a beginning, gives none of them away.
        for window in common:
            del self.windows[window]

    def find(self, parts):
        """[(where, kind, a few bytes)] of what is found, the first of each mapping and kind."""
        found = {}
        for where, content in parts:
            for needle, kind in self.short.items():
                if needle in content:
                    found.setdefault((where, kind), needle)
            get = self.windows.get
            for page in range(0, len(content), 4096):
                block = content[page:page + 4096 + WINDOW]
                if block.count(0) == len(block):
                    continue
                for at in range(0, 4096, STRIDE):
                    hit = get(block[at:at + WINDOW])
                    if hit:
                        found.setdefault((where, hit[1]), block[at:at + WINDOW])
        return [(where, kind, needle) for (where, kind), needle in found.items()]


# Keeps what it is given, and nothing that would tell it again.
_KEEPER = """
import os, sys
kept = bytearray(os.read(0, 65536))
os.write(1, b".")
os.read(0, 1)
"""


def _found_in_child(index, content):
    child = subprocess.Popen([sys.executable, "-c", _KEEPER], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE)
    try:
        child.stdin.write(content)
        child.stdin.flush()
        child.stdout.read(1)
        return {kind for _, kind, _ in index.find(image(child.pid))}
    finally:
        child.communicate()


def proof():
    """What is planted in another process is found, in each form; what is not there is not."""
    secret = "Planted-" + base64.urlsafe_b64encode(os.urandom(60)).decode()
    other = "Planted-" + base64.urlsafe_b64encode(os.urandom(60)).decode()
    index = Index({secret: "long", other: "other", "short-planted": "short"})
    problems = []
    cut = secret.encode()[20:20 + WINDOW + STRIDE - 1]
    for number, form in enumerate([*forms(secret.encode()), cut]):
        found = _found_in_child(index, b"x" * (5 + number) + form)
        problems += [f"{form!r}: {found}"] * (found != {"long"})
    for form in forms(b"short-planted"):
        found = _found_in_child(index, b"x" + form)
        problems += [f"{form!r}: {found}"] * (found != {"short"})
    found = _found_in_child(index, os.urandom(20000) + b"Planted-" * 100 + cut[:WINDOW - 1])
    return problems + [f"found what is not there: {found}"] * bool(found)
