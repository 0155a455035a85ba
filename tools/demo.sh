#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The main job without a person: shows it, checks it, exits 0 or 1.
set -eu
. "$(dirname "$0")/with-devserver.sh"
configure_keeper 'username = load-2' 'on_demand = yes'
build/freshet-demo "$url" build/freshetd "$scratch"
