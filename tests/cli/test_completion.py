#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Completion in real shells: test_completion.py FRESHET DEVSERVER FOLDER, FOLDER being where the scripts
were made. Each line is completed in bash, zsh and fish, and all must offer the same. Prints TAP."""
import os
import pty
import select
import shlex
import subprocess
import sys
import traceback

from harness import PATIENCE, check, equal, wait_for
from world import ROOT, Tap, World

sys.path.insert(0, os.path.join(ROOT, "tools"))
import tables  # noqa: E402  pylint: disable=wrong-import-position

SCRIPTS = os.path.abspath(sys.argv[3])


def bash(w, line):
    """Calls the function as bash does, with the words of the line."""
    words = line.split(" ")
    quoted = " ".join(map(shlex.quote, words))
    script = (f"source {SCRIPTS}/freshet.bash; COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; "
              "_freshet; printf '%s\\n' \"${COMPREPLY[@]}\"")
    return told(w, ["bash", "--norc", "--noprofile", "-c", script])


def told(w, command):
    result = subprocess.run(command, env=environment(w), cwd=w.folder, capture_output=True, text=True,
                            stdin=subprocess.DEVNULL, timeout=PATIENCE)
    equal(result.stderr, "", "what the shell complains of")
    return {each for each in result.stdout.splitlines() if each}


def fish(w, line):
    script = f"source {SCRIPTS}/freshet.fish; complete -C {shlex.quote(line)}"
    return {each.split("\t")[0] for each in told(w, ["fish", "--no-config", "-c", script])}


ZSH = r"""
PS1='' ; unsetopt ZLE_RC beep ; HISTSIZE=0 ; setopt no_list_beep no_auto_list no_auto_menu
fpath=(@SCRIPTS@ $fpath)
autoload -Uz compinit && compinit -u -D
zstyle ':completion:*' list-max 0
compadd() {
    # Calls that only ask what would match are not offers.
    if [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\ * ]]; then builtin compadd "$@"; return; fi
    local -a hits
    builtin compadd -A hits "$@"
    (( $#hits )) && print -rl -- $hits >> @OFFERS@
    builtin compadd "$@"
}
complete-and-tell() {
    zle complete-word
    zle kill-whole-line
    print end >> @OFFERS@
}
zle -N complete-and-tell
bindkey '^I' complete-and-tell
print ready >> @OFFERS@
"""


class Zsh:
    """An interactive zsh. A line and a tab are typed into it, and what it offers is caught on its way."""

    def __init__(self, w):
        self.offers = w.write("offers", "")
        setup = w.write("setup.zsh", ZSH.replace("@SCRIPTS@", SCRIPTS).replace("@OFFERS@", self.offers))
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.chdir(w.folder)
            os.execvpe("zsh", ["zsh", "-f", "-i"], environment(w))
        type_in(self.terminal, f"source {setup}\n", self.offers, "ready")

    def __call__(self, w, line):
        w.write("offers", "")
        # Nothing behind the tab: with more to read zsh would give up.
        shown = type_in(self.terminal, f"{line}\t", self.offers, "end")
        check(b"command not found" not in shown, shown)
        # Where no word is left it offers the options, too.
        last = line.split(" ")[-1]
        return {each for each in w.read("offers").split("\n") if each not in ("", "end") and
                (last or not each.startswith("-"))}

    def close(self):
        os.close(self.terminal)
        os.waitpid(self.pid, 0)


def type_in(terminal, text, path, until):
    """What the terminal shows until that word is in the file."""
    os.write(terminal, text.encode())
    shown = b""

    def come():
        nonlocal shown
        while select.select([terminal], [], [], 0)[0]:
            shown += os.read(terminal, 65536)
        with open(path, encoding="utf-8") as f:
            return until in f.read().split()

    wait_for(come, f"{until} from zsh, which shows {shown!r}")
    return shown


def environment(w):
    return {**w.environment, "FRESHET_CONFIG": w.config,
            "PATH": os.path.dirname(w.binary) + ":" + w.environment["PATH"]}


def rows(w):
    """Lines, and what must be offered for their last word."""
    verbs = {row[0] for row in tables.verbs()}
    common = {"--" + row[0] for row in tables.options() if not row[2]}
    of = {verb: {"--" + row[0] for row in tables.options_of(verb)} for verb in verbs}
    yield "freshet ", verbs
    yield "freshet lo", {"login", "logout"}
    yield "freshet nonesuch", set()
    yield "freshet --json st", {"status"}
    yield "freshet --state somewhere st", {"status"}
    yield "freshet status ", {"billing", "two"}
    yield "freshet login b", {"billing"}
    yield "freshet login --username someone t", {"two"}
    yield "freshet status billing ", set()
    yield "freshet key ", {"new", "list", "rotate", "prune"}
    yield "freshet key ro", {"rotate"}
    yield "freshet mfa billing ", {"status", "prefer", "enrol"}
    yield "freshet help s", {"status", "sessions"}
    yield "freshet headers --p", {"--partner", "--profile"}
    yield "freshet logout --", common | of["logout"]
    yield "freshet doctor --", common
    yield f"freshet --config {w.path('none')} status ", set()
    yield f"freshet status --config {w.path('none')} ", set()
    for verb in sorted(verbs):
        yield f"freshet {verb} --", common | of[verb]


def ran(w, shells, line, wanted):
    for name, shell in shells.items():
        equal(shell(w, line), wanted, name)


def files(w, shells):
    """Where a file is wanted, files are offered; a folder, folders."""
    w.write("some.conf", "")
    os.mkdir(w.path("some.d"))
    for line in ("freshet --config some", "freshet login --password-file some", "freshet key new some",
                 "freshet curl billing -- -o some"):
        for name, shell in shells.items():
            found = shell(w, line)
            check("some.conf" in found, f"{name}: {line}: {found}")
    for name, shell in shells.items():
        found = {each.rstrip("/") for each in shell(w, "freshet --state some")}
        equal(found, {"some.d"}, name)


def installed():
    """They are what options.def says now."""
    problems = []
    for shell, name in (("bash", "freshet.bash"), ("zsh", "_freshet"), ("fish", "freshet.fish")):
        fresh = subprocess.run(["/usr/bin/python3", os.path.join(ROOT, "tools", "gen_completion.py"), shell,
                                "/dev/stdout"], capture_output=True, text=True, check=True).stdout
        with open(os.path.join(SCRIPTS, name), encoding="utf-8") as f:
            if f.read() != fresh:
                problems.append(f"{name} is old")
    return problems


def judged(function, *arguments):
    try:
        return function(*arguments) or []
    except Exception:  # pylint: disable=broad-except
        return traceback.format_exc().splitlines()


def main():
    w = World(*sys.argv[1:3])
    shells = {"bash": bash, "fish": fish, "zsh": Zsh(w)}
    tap = Tap()
    try:
        tap.case("the scripts are what the table says", installed())
        for line, wanted in rows(w):
            tap.case(f"'{line.replace(w.folder, '.')}' in bash, zsh and fish", judged(ran, w, shells, line, wanted))
        tap.case("files and folders, where they are wanted", judged(files, w, shells))
    finally:
        shells["zsh"].close()
        w.end()
    tap.end()


main()
