#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The quick tour, typed into a terminal (tmux): tour.py FRESHET DEVSERVER. Prints TAP.

Commands and answers are read from the README's `console` block, so that what is tested is what people
read: each command is typed, each question is answered, and what stands there must be what is shown.
Numbers and times differ; ... stands for whatever is there."""
import os
import re
import shutil
import subprocess
import sys
import tempfile

from harness import PASSWORD, PATIENCE, check, wait_for
from world import ROOT, Devserver, Tap

PROMPT = "tour$ "
# What the page shows, and what is typed when a terminal shows it.
ANSWERS = {"Password of mfa:": lambda server: PASSWORD, "MFA code:": lambda server: server.code("mfa")}


def steps():
    """(command, lines that it prints) of the README's tour."""
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as f:
        found = re.search(r"^## Quick tour$.*?^```console\n(.*?)^```$", f.read(),
                          re.MULTILINE | re.DOTALL)
    parts = re.split(r"^\$ (.*)\n", found.group(1), flags=re.MULTILINE)
    return list(zip(parts[1::2], (part.splitlines() for part in parts[2::2])))


class Terminal:
    """A shell in tmux, on a server of its own."""

    def __init__(self, folder, environment):
        self.socket = os.path.join(folder, "tmux")
        self.environment = environment
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", "200", "-y", "200",
                  "bash", "--norc", "--noprofile")
        self.type(f"PS1='{PROMPT}'; clear")
        wait_for(lambda: self.lines() == [PROMPT.strip()], "the shell")

    def tmux(self, *arguments):
        return subprocess.run(["tmux", "-S", self.socket, *arguments], capture_output=True, text=True,
                              check=True, env=self.environment, timeout=PATIENCE).stdout

    def type(self, text):
        self.tmux("send-keys", "-l", text)
        self.tmux("send-keys", "Enter")

    def lines(self):
        return self.tmux("capture-pane", "-p").rstrip("\n").splitlines()

    def fresh(self):
        self.tmux("send-keys", "C-l")
        wait_for(lambda: self.lines() == [PROMPT.strip()], "a clear screen")

    def waits_for(self, question):
        return self.lines()[-1].startswith(question)

    def ready(self):
        lines = self.lines()
        return len(lines) > 1 and lines[-1].endswith(PROMPT.strip())

    def shown(self):
        """What stands between the line of the command and the next prompt; the answer of a server
        need not end its line."""
        text = "\n".join(self.lines()[1:]).removesuffix(PROMPT.strip())
        return text if text.endswith("\n") or not text else text + "\n"

    def end(self):
        self.tmux("kill-server")


def pattern(line):
    """What a line of the page stands for."""
    if line == "...":
        return r"(?:.*\n)*"
    line = re.escape(line).replace(r"\.\.\.", ".*")
    # A duration may be a minute less by the time that it is shown.
    line = re.sub(r"\d+\\ min\\ \d+\\ s", r"(?:\\d+ [a-z]+ ?)+", line)
    return re.sub(r"(?<!\\)\d+", r"\\d+", line) + r"\n"


def questions(lines):
    return [(question, answer) for line in lines for question, answer in ANSWERS.items()
            if line.startswith(question)]


def step(terminal, server, command, lines):
    terminal.fresh()
    terminal.type(command)
    for question, answer in questions(lines):
        wait_for(lambda question=question: terminal.waits_for(question), question)
        terminal.type(answer(server))
    wait_for(terminal.ready, f"the end of {command}")
    shown = terminal.shown()
    wanted = "".join(pattern(line) for line in lines)
    check(re.fullmatch(wanted, shown), f"{shown!r} is not {wanted!r}")
    check(PASSWORD not in shown, "the password was echoed")


def prepare(folder, binary):
    home = os.path.join(folder, "home")
    os.mkdir(home)
    return home, {
        # The shell would write its history when it is hung up, into a folder that is being removed.
        "HISTFILE": "/dev/null",
        "HOME": home, "LANG": "C.UTF-8", "TERM": "xterm", "SHELL": "/bin/bash", "NO_COLOR": "1",
        "PATH": os.path.dirname(os.path.abspath(binary)) + ":" + os.environ["PATH"],
        **{name: value for name, value in os.environ.items() if name.endswith("SAN_OPTIONS")}}


def main():
    binary, devserver = sys.argv[1:3]
    folder = tempfile.mkdtemp(prefix="freshet-tour-")
    server = Devserver(os.path.abspath(devserver))
    home, environment = prepare(folder, binary)
    terminal = Terminal(folder, environment)
    tap = Tap()
    try:
        verbs = {word for command, _ in steps() for word in command.split()}
        tap.case("the tour shows key, login, status, headers, curl, explain and logout",
                 sorted({"key", "login", "status", "headers", "curl", "explain", "logout"} - verbs))
        for command, lines in steps():
            problems = []
            try:
                step(terminal, server, command.replace("127.0.0.1:9400", server.address), lines)
            except AssertionError as error:
                problems = [str(error), *terminal.lines()]
            tap.case(command, problems)
        mode = os.stat(os.path.join(home, ".local/state/freshet/store.key")).st_mode & 0o777
        tap.case("the key is its owner's alone", [] if mode == 0o600 else [oct(mode)])
        lacking = server.counter("api_lacking_authorization") + server.counter("api_lacking_partner")
        tap.case("each request bore both headers", [] if lacking == 0 else [f"{lacking} did not"])
    finally:
        terminal.end()
        server.close()
        shutil.rmtree(folder)
    tap.end()


main()
