# SPDX-License-Identifier: Apache-2.0
# Sourced by run.sh and demo.sh: starts a devserver on a free port of loopback, sets $url, and sees to
# it that everything is ended and removed when the script ends.

cd "$(dirname "$0")/.."
scratch=$(mktemp -d)
control=$scratch/control.sock
devserver=
keeper=
end() {
    [ -z "$1" ] || { kill "$1" 2>/dev/null && wait "$1" 2>/dev/null; } || true
}
finish() {
    end "$keeper"
    end "$devserver"
    rm -rf "$scratch"
}
trap finish EXIT

# Waits until a process has made a file: come_up NAME PROCESS TEST FILE
come_up() {
    tries=0
    until [ "$3" "$4" ]; do
        tries=$((tries + 1))
        if [ $tries -gt 200 ] || ! kill -0 "$2" 2>/dev/null; then
            echo "$1 does not come up" >&2
            exit 1
        fi
        sleep 0.05
    done
}

build/freshet-devserver --listen 127.0.0.1:0 --port-file "$scratch/port" --quiet "$@" &
devserver=$!
come_up 'the devserver' "$devserver" -s "$scratch/port"
url=http://$(cat "$scratch/port")

# Writes what freshetd needs into $scratch: one session, "shared", with the lines given.
configure_keeper() {
    (
        umask 077
        echo 'demo-password-not-secret' >"$scratch/password"
        build/freshet key new "$scratch/store.key" >/dev/null
        {
            printf '[platform]\nurl = %s\n' "$url"
            printf '[store]\nsecrets = sqlite:secrets.db\ntokens = sqlite:tokens.db\nkey_file = store.key\n'
            printf '[keeper]\ncontrol_socket = control.sock\nlog_level = warning\n'
            printf '[session shared]\npassword_file = password\n'
            printf '%s\n' "$@"
        } >"$scratch/freshet.conf"
    )
}

# Starts it; it answers at $control.
start_keeper() {
    build/freshetd --config "$scratch/freshet.conf" &
    keeper=$!
    come_up freshetd "$keeper" -S "$control"
}
