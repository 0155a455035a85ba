#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs fuzz targets for a number of seconds each: all of them, or those named. tests/meson.build has
# the list. What is found new goes to build-fuzz/corpus; an input that breaks something is kept there,
# and printed.
#
# usage: fuzz.sh [SECONDS [TARGET ...]]
set -eu
cd "$(dirname "$0")/.."
seconds=${1:-60}
[ $# = 0 ] || shift

CC=clang tools/build.sh build-fuzz -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false \
    -Dwerror=false
failed=0
while read -r target corpora; do
    case " ${*:-$target} " in
    *" $target "*) ;;
    *) continue ;;
    esac
    mkdir -p "build-fuzz/corpus/$target"
    echo "fuzz_$target: $seconds s"
    dictionary=
    [ ! -f "fuzz/$target.dict" ] || dictionary="-dict=fuzz/$target.dict"
    # shellcheck disable=SC2086 # lists of words
    "build-fuzz/tests/fuzz_$target" -max_total_time="$seconds" -print_final_stats=1 -verbosity=0 \
        -timeout=30 $dictionary -artifact_prefix="build-fuzz/corpus/$target-" \
        "build-fuzz/corpus/$target" $corpora </dev/null || failed=1
done <build-fuzz/tests/fuzz_targets
[ $failed = 0 ] && echo 'fuzz: nothing found'
exit $failed
