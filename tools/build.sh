#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Configures a build folder if need be, and compiles it.
#
# usage: build.sh FOLDER [MESON-OPTION ...]
set -eu
cd "$(dirname "$0")/.."
folder=$1
shift

log=$(mktemp)
trap 'rm -f "$log"' EXIT
if [ -f "$folder/build.ninja" ]; then
    set -- configure "$folder" "$@"
else
    set -- setup "$folder" "$@"
fi
meson "$@" >"$log" 2>&1 || { cat "$log"; exit 1; }
meson compile -C "$folder" >"$log" 2>&1 || { cat "$log"; exit 1; }
