#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the completion of the command line for a shell, from edge/cli/options.def.

usage: gen_completion.py bash|zsh|fish OUTPUT"""
import re
import sys

from tables import options, options_of, verbs

MADE = "# SPDX-License-Identifier: Apache-2.0\n# Made from edge/cli/options.def by tools/gen_completion.py.\n"


def common():
    return [row for row in options() if not row[2]]


def operand_words(operands):
    """What stands at the first and at the second place behind a verb: SESSION, VERB, FILE, or words."""
    words = [word for word in re.findall(r"[A-Za-z-]+", operands) if word != "--"]
    if not words:
        return [], []
    small = [word for word in words if word.islower()]
    if words[0] in ("SESSION", "VERB"):
        return [words[0]], small
    return small, ["FILE"] if "FILE" in words else []


def phrase(text):
    """A description: one line without markup, and without what a shell would read."""
    return re.sub(r"[`'\"\\$\[\]:]", "", text).rstrip(".")


# ---- bash

BASH = r"""
# The names of sessions, with the stores that the line names; none when that fails.
_freshet_sessions() {
    local line
    while read -r line _; do
        printf '%s\n' "$line"
    done < <(command freshet "$@" sessions 2>/dev/null </dev/null)
}

_freshet_offer() {
    local word
    while IFS= read -r word; do
        [[ $word == "$cur"* ]] && COMPREPLY+=("$word")
    done < <(printf '%s\n' "$@")
}

_freshet_files() {
    compopt -o filenames 2>/dev/null
    local word
    while IFS= read -r word; do
        COMPREPLY+=("$word")
    done < <(compgen "$@" -- "$cur")
}

_freshet() {
    local cur=${COMP_WORDS[COMP_CWORD]} verb= option= place=0 word i
    local -a known=() stores=()
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [[ -n $option ]]; then
            # bash breaks --option=value into three words.
            [[ $word == = ]] && continue
            case $option in @STORE_OPTIONS@) stores+=("$option=$word") ;; esac
            option=
            continue
        fi
        case $word in
        --) break ;;
        @VALUED@) option=$word ;;
        -*) ;;
        *) if [[ -z $verb ]]; then verb=$word; else place=$((place + 1)); fi ;;
        esac
    done
    [[ $cur == = ]] && cur=
    case $option in
@FILE_OPTIONS@
    ?*) return ;;
    esac
    if [[ $verb == curl && ( $i -lt $COMP_CWORD || $place -gt 0 ) && $cur != -* ]]; then
        _freshet_files -f
        return
    fi
    if [[ $cur == -* ]]; then
        known=(@COMMON@)
        case $verb in
@VERB_OPTIONS@
        esac
        _freshet_offer "${known[@]}"
        return
    fi
    case $verb:$place in
    :*) _freshet_offer @VERBS@ ;;
@OPERANDS@
    esac
}

complete -F _freshet freshet
"""


def bash_operand(words):
    if words == ["SESSION"]:
        return '_freshet_offer $(_freshet_sessions "${stores[@]}")'
    if words == ["VERB"]:
        return "_freshet_offer " + " ".join(row[0] for row in verbs())
    if words == ["FILE"]:
        return "_freshet_files -f"
    return "_freshet_offer " + " ".join(words)


def alternatives(rows):
    return " | ".join("--" + row[0] for row in rows)


def of_kind(kind):
    return [row for row in options() if row[1] == kind]


def stores():
    """The options that say which stores are looked at."""
    return [row for row in common() if row[1] is not None]


def bash():
    operands = []
    for name, shown, _help in verbs():
        for place, words in enumerate(operand_words(shown)):
            if words:
                operands.append(f"    {name}:{place}) {bash_operand(words)} ;;")
    verb_options = [f"        {name}) known+=({' '.join('--' + row[0] for row in options_of(name))}) ;;"
                    for name, _shown, _help in verbs() if options_of(name)]
    parts = {
        "STORE_OPTIONS": alternatives(stores()),
        "VALUED": alternatives(row for row in options() if row[1]),
        "FILE_OPTIONS": f"    {alternatives(of_kind('FILE'))}) _freshet_files -f; return ;;\n"
                        f"    {alternatives(of_kind('FOLDER'))}) _freshet_files -d; return ;;",
        "COMMON": " ".join("--" + row[0] for row in common()),
        "VERB_OPTIONS": "\n".join(verb_options),
        "VERBS": " ".join(row[0] for row in verbs()),
        "OPERANDS": "\n".join(operands),
    }
    return MADE + fill(BASH, parts)


def fill(template, parts):
    return re.sub(r"@([A-Z_]+)@", lambda match: parts[match.group(1)], template)


# ---- zsh

ZSH = r"""
# The names of sessions, with the stores that the line names; none when that fails.
_freshet_sessions() {
    local option
    local -a names stores
    for option in @STORE_OPTIONS@; do
        (( ${+before[$option]} )) && stores+=("$option=${(Q)before[$option]}")
        (( ${+opt_args[$option]} )) && stores+=("$option=${(Q)opt_args[$option]}")
    done
    names=(${${(f)"$(command freshet $stores sessions 2>/dev/null </dev/null)"}%% *})
    _wanted sessions expl session compadd -a names
}

_freshet_verbs() {
    local -a known
    known=(
@VERBS@
    )
    _describe -t verbs verb known
}

_freshet() {
    local context state line expl ret=1
    typeset -A opt_args before
    local -a common
    common=(
@COMMON@
    )
    _arguments -C $common '1:verb:_freshet_verbs' '*::operand:->operand' && ret=0
    [[ $state == operand ]] || return ret
    # Those that stand before the verb; the next call has the others.
    before=("${(@kv)opt_args}")
    opt_args=()
    case $words[1] in
@CASES@
    *) _arguments $common && ret=0 ;;
    esac
    return ret
}

_freshet "$@"
"""


def zsh_value(argument):
    if argument is None:
        return ""
    action = {"FILE": "_files", "FOLDER": "_files -/"}.get(argument, " ")
    return f":{argument.lower()}:{action}"


def zsh_option(row):
    name, argument, _verbs, _environment, text = row
    equals = "=" if argument else ""
    return f"'--{name}{equals}[{phrase(text)}]{zsh_value(argument)}'"


def zsh_operand(place, words):
    if words == ["SESSION"]:
        return f"'{place}:session:_freshet_sessions'"
    if words == ["VERB"]:
        return f"'{place}:verb:_freshet_verbs'"
    if words == ["FILE"]:
        return f"'{place}:file:_files'"
    return f"'{place}:action:({' '.join(words)})'"


def zsh_case(name, shown):
    specs = [zsh_option(row) for row in options_of(name)]
    specs += [zsh_operand(place, words) for place, words in enumerate(operand_words(shown), 1) if words]
    if "[--]" in shown:
        specs.append("'*:curl:_files'")
    lines = " \\\n        ".join(["_arguments $common", *specs])
    return f"    {name}) {lines} && ret=0 ;;"


def zsh():
    parts = {
        "STORE_OPTIONS": " ".join("--" + row[0] for row in stores()),
        "VERBS": "\n".join(f"        '{name}:{phrase(text)}'" for name, _shown, text in verbs()),
        "COMMON": "\n".join("        " + zsh_option(row) for row in common()),
        "CASES": "\n".join(zsh_case(name, shown) for name, shown, _text in verbs()),
    }
    return "#compdef freshet\n" + MADE + fill(ZSH, parts)


# ---- fish

FISH = r"""
# The words on the line that are no options and no values of any: the verb, and what stands behind it.
# The options that name stores are in __freshet_stores then.
function __freshet_words
    set -g __freshet_stores
    set -l option
    set -l tokens (commandline -opc)
    for token in $tokens[2..-1]
        if test -n "$option"
            contains -- $option @STORE_OPTIONS@; and set -ga __freshet_stores $option=$token
            set option
            continue
        end
        switch $token
            case --
                return
            case @VALUED@
                set option $token
            case '-*'
            case '*'
                echo $token
        end
    end
end

# Whether the line has that many words, the first of which is one of those named.
function __freshet_at
    set -l words (__freshet_words)
    test (count $words) -eq $argv[1]; or return 1
    test $argv[1] -eq 0; or contains -- $words[1] $argv[2..-1]
end

function __freshet_verb
    set -l words (__freshet_words)
    test (count $words) -gt 0; and contains -- $words[1] $argv
end

# The names of sessions; none when that fails.
function __freshet_sessions
    __freshet_words >/dev/null
    command freshet $__freshet_stores sessions 2>/dev/null </dev/null | string replace -r ' .*' ''
end

complete -c freshet -f
@VERBS@
@OPERANDS@
@OPTIONS@
"""


def fish_operand(name, place, words):
    condition = f"-n '__freshet_at {place} {name}'"
    if words == ["SESSION"]:
        return f"complete -c freshet {condition} -a '(__freshet_sessions)' -d session"
    if words == ["VERB"]:
        return f"complete -c freshet {condition} -a '{' '.join(row[0] for row in verbs())}'"
    if words == ["FILE"]:
        return f"complete -c freshet {condition} -F"
    return f"complete -c freshet {condition} -a '{' '.join(words)}'"


def fish_option(row):
    name, argument, of_verbs, _environment, text = row
    condition = f" -n '__freshet_verb {' '.join(of_verbs)}'" if of_verbs else ""
    value = {None: "", "FILE": " -rF", "FOLDER": " -xa '(__fish_complete_directories)'"}.get(argument, " -x")
    return f"complete -c freshet{condition} -l {name}{value} -d '{phrase(text)}'"


def fish():
    operands = []
    for name, shown, _help in verbs():
        for place, words in enumerate(operand_words(shown), 1):
            if words:
                operands.append(fish_operand(name, place, words))
        if "[--]" in shown:
            operands.append(f"complete -c freshet -n '__freshet_verb {name}; and not __freshet_at 1 {name}' -F")
    parts = {
        "STORE_OPTIONS": " ".join("--" + row[0] for row in stores()),
        "VALUED": " ".join("--" + row[0] for row in options() if row[1]),
        "VERBS": "\n".join(f"complete -c freshet -n '__freshet_at 0' -a {name} -d '{phrase(text)}'"
                           for name, _shown, text in verbs()),
        "OPERANDS": "\n".join(operands),
        "OPTIONS": "\n".join(map(fish_option, options())),
    }
    return MADE + fill(FISH, parts)


def main():
    makers = {"bash": bash, "zsh": zsh, "fish": fish}
    if len(sys.argv) != 3 or sys.argv[1] not in makers:
        sys.exit(__doc__)
    with open(sys.argv[2], "w", encoding="utf-8") as f:
        f.write(makers[sys.argv[1]]())


main()
