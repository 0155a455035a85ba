# SPDX-License-Identifier: Apache-2.0
# Sourced by run.sh and demo.sh: starts a devserver on a free port of loopback, sets $url, and sees
# to it that everything is ended and removed when the script ends.

cd "$(dirname "$0")/.."
scratch=$(mktemp -d)
devserver=
finish() {
    [ -z "$devserver" ] || { kill "$devserver" 2>/dev/null && wait "$devserver" 2>/dev/null; } || true
    rm -rf "$scratch"
}
trap finish EXIT

build/freshet-devserver --listen 127.0.0.1:0 --port-file "$scratch/port" --quiet "$@" &
devserver=$!
tries=0
until [ -s "$scratch/port" ]; do
    tries=$((tries + 1))
    if [ $tries -gt 200 ] || ! kill -0 "$devserver" 2>/dev/null; then
        echo "the devserver does not come up" >&2
        exit 1
    fi
    sleep 0.05
done
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
