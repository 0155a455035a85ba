#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs what is missing for the purposes named, on Debian 12, and says what. Quick when nothing is.
#
# usage: setup.sh build|run|lint|test|fuzz|bench ...
set -eu

packages=
for purpose in "$@"; do
    case $purpose in
    build) packages="$packages gcc libc6-dev make meson ninja-build pkg-config python3
        libcurl4-openssl-dev libinih-dev libjansson-dev libqrencode-dev libsodium-dev libsqlite3-dev
        libmicrohttpd-dev libsystemd-dev libcmocka-dev uthash-dev
        libssl-dev openssl" ;;
    run) packages="$packages curl" ;;
    lint) packages="$packages git clang-format clang-tidy mandoc" ;;
    fuzz) packages="$packages clang libclang-rt-14-dev" ;;
    bench) packages="$packages golang-go golang-golang-x-oauth2-dev" ;;
    test) packages="$packages git g++ python3-jsonschema gdb python3-yaml systemd curl nodejs tmux zsh fish" ;;
    *) echo "setup.sh: no such purpose: $purpose" >&2; exit 64 ;;
    esac
done

missing=
for package in $packages; do
    # A package that another provides (gcc, g++) has its own name installed on Debian all the same.
    status=$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true)
    [ "$status" = 'install ok installed' ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

echo "installing:$missing"
root=
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || {
        echo "setup.sh: neither root nor sudo; install these first:$missing" >&2
        exit 1
    }
    root=sudo
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# shellcheck disable=SC2086 # lists of words
{
    $root apt-get update -q &&
        $root env DEBIAN_FRONTEND=noninteractive \
            apt-get install -q -y --no-install-recommends $missing
} >"$log" 2>&1 || {
    cat "$log" >&2
    echo "setup.sh: apt-get could not install:$missing" >&2
    exit 1
}
