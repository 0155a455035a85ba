#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Formatting, clang-tidy, and the checks of structure and documentation. Ends with 1 when anything is
# to be mended.
set -eu
cd "$(dirname "$0")/.."

failed=0
sources() { git ls-files --cached --others --exclude-standard -- '*.c' '*.h'; }

echo 'formatting'
sources | xargs clang-format --dry-run -Werror || failed=1

echo 'clang-tidy'
tools/build.sh build
sources | grep -E '^(src|devserver|tools|sim)/.*\.c$' |
    xargs -P "$(nproc)" -n 4 clang-tidy -p build --quiet 2>/dev/null || failed=1

for check in tests/checks/check_includes.py tests/checks/check_docs.py; do
    echo "$check"
    /usr/bin/python3 "$check" || failed=1
done
[ $failed = 0 ] && echo 'lint: nothing to mend'
exit $failed
