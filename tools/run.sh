#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The main job, live, until Ctrl-C.
set -eu
set -- --lifetime 20
. "$(dirname "$0")/with-devserver.sh"
trap : INT TERM # the view ends by itself, then everything else does
configure_keeper 'username = load-1'
start_keeper

cat <<TEXT
Freshet, live: the keeper shares one session, whose tokens live 20 s, with every program; and a
program of eight threads, below, keeps another by itself.

The keeper, three ways:
  curl    curl --unix-socket $control http://localhost/v1/sessions/shared/headers
  CLI     build/freshet --config $scratch/freshet.conf headers shared
  C       build/freshet-call keeper:$control shared $url/api/orders

The stand-in platform, for development only: $url
  what it counts                        curl -s $url/_dev/counters
  make its sign-in fail for a while     curl -s $url/_dev/faults -d '{"match":"/auth","count":-1,"kind":"status","status":503}'
  and work again                        curl -s -X DELETE $url/_dev/faults
  revoke all tokens                     curl -s $url/_dev/revoke -d '{"username":"svc-demo","what":"all"}'

Ctrl-C stops all of it.

TEXT
build/freshet-live "$url" "$scratch/password"
