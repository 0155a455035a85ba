# SPDX-License-Identifier: Apache-2.0
"""Secrets as they may appear, and the places where they are looked for."""
import base64
import os
import threading
import urllib.parse

FRAGMENT = 24  # bytes of a long secret that give it away, wherever they are cut out


def in_base64(secret):
    """What does not depend on the bytes around, for each of the three alignments."""
    for shift in range(3):
        text = base64.b64encode(b"\0" * shift + secret)
        first, last = -(-shift * 8 // 6), (shift + len(secret)) * 8 // 6
        yield text[first:last]
        yield text[first:last].translate(bytes.maketrans(b"+/", b"-_"))


def forms(secret):
    """Every form in which a secret is looked for."""
    raw = secret.encode()
    yield raw
    yield raw.hex().encode()
    yield raw.hex().upper().encode()
    yield from in_base64(raw)
    yield urllib.parse.quote(secret, safe="").encode()
    yield urllib.parse.quote(secret, safe="").lower().encode()
    yield urllib.parse.quote_plus(secret).encode()
    yield "".join(f"%{byte:02X}" for byte in raw).encode()
    yield secret.replace("/", "\\/").encode()
    yield secret.encode("utf-16-le")
    if len(raw) >= 2 * FRAGMENT:
        for at in (len(raw) // 3, len(raw) // 2, len(raw) - FRAGMENT):
            yield raw[at:at + FRAGMENT]


class Places:
    """What was seen, by place: ("output", "freshet status") -> bytes."""

    def __init__(self):
        self.seen = {}
        self.lock = threading.Lock()

    def add(self, place, name, content):
        with self.lock:
            self.seen.setdefault(place, {}).setdefault(content, name)

    def count(self, place):
        return len(self.seen.get(place, {}))

    def find(self, secrets, place, allowed=lambda name, kind: False):
        """[(place, name, kind)]: where one of the secrets (text -> kind) is."""
        found = []
        with self.lock:
            contents = list(self.seen.get(place, {}).items())
        for secret, kind in secrets.items():
            needles = set(forms(secret))
            for content, name in contents:
                if not allowed(name, kind) and any(needle in content for needle in needles):
                    found.append((place, name, kind))
        return found


def read(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def add_folder(places, folder, omit=()):
    """Every file below a folder, as it is now."""
    for parent, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(parent, name)
            if path in omit or not os.path.isfile(path) or os.path.islink(path):
                continue
            kind = "database" if ".db" in name else "core" if name.startswith("core") else "file"
            places.add(kind, path, read(path))


class Watch:
    """Looks at the arguments and the environment of every process there is, again and again."""

    def __init__(self, places):
        self.places = places
        self.ending = False
        self.names = set()  # programs that were seen
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def look(self):
        for pid in filter(str.isdigit, os.listdir("/proc")):
            arguments = read(f"/proc/{pid}/cmdline")
            if not arguments or int(pid) == os.getpid():
                continue
            self.names.add(os.path.basename(arguments.split(b"\0")[0].decode("utf-8", "replace")))
            self.places.add("arguments", arguments[:60].decode("utf-8", "replace"), arguments)
            self.places.add("environment", arguments[:60].decode("utf-8", "replace"),
                            read(f"/proc/{pid}/environ"))

    def run(self):
        while not self.ending:
            self.look()

    def end(self):
        self.ending = True
        self.thread.join()
