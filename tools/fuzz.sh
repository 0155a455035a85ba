#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs each fuzz target for a number of seconds. What it finds new goes to build-fuzz/corpus; an input
# that breaks something is kept there, and printed.
set -eu
cd "$(dirname "$0")/.."
seconds=${1:-60}

CC=clang tools/build.sh build-fuzz -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false \
    -Dwerror=false
failed=0
for target in answer jwt record retry_after; do
    mkdir -p "build-fuzz/corpus/$target"
    echo "fuzz_$target: $seconds s"
    "build-fuzz/tests/fuzz_$target" -max_total_time="$seconds" -print_final_stats=0 -verbosity=0 \
        -artifact_prefix="build-fuzz/corpus/$target-" \
        "build-fuzz/corpus/$target" "fuzz/corpus/$target" || failed=1
done
[ $failed = 0 ] && echo 'fuzz: nothing found'
exit $failed
