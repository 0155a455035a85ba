#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Calls the platform with a session's headers: call.sh CONTROL_SOCKET SESSION /PATH
set -eu
control=$1 session=$2 path=$3

# Without what ~/.curlrc says, and loopback never by a proxy.
get() { curl -q -sS --max-time 30 --noproxy localhost,127.0.0.1,::1 "$@"; }
keeper() { from=$1 && shift && get --fail-with-body --unix-socket "$control" "http://localhost$from" "$@"; }
field() { sed -n "s/.*\"$1\": *\"\{0,1\}\([^\",}]*\).*/\1/p"; }

exec 3>&1
url=$(keeper /v1/platform | field url)
fresh=$(keeper "/v1/sessions/$session/headers") || { printf '%s\n' "$fresh" >&2; exit 1; }
# ["NAME", "VALUE"] becomes a line NAME: VALUE. By standard input: arguments are everybody's to read.
status=$(printf '%s\n' "$fresh" | sed 's/\],/\]\
/g' | sed -n 's/.*\["\([^"\\]*\)", *"\([^"\\]*\)"\].*/\1: \2/p' |
    get -H @- -o /dev/fd/3 -w '%{http_code}' "$url$path")
[ "$status" != 401 ] || # told, and never tried again
    keeper "/v1/sessions/$session/unauthorized" -d "{\"generation\": $(printf '%s\n' "$fresh" | field generation)}"
[ "$status" -lt 300 ] || { echo "the platform: $status" >&2; exit 1; }
