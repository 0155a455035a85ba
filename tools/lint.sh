#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Formatting, clang-tidy, and the checks of structure and documentation. Ends with 1 when anything is
# to be mended.
set -eu
cd "$(dirname "$0")/.."

failed=0
list=$(mktemp)
trap 'rm -f "$list"' EXIT
# Whoever owns the checkout, as in a container. A file that was just deleted is still listed.
git -c safe.directory='*' ls-files --cached --others --exclude-standard -- '*.c' '*.h' |
    while read -r file; do [ ! -f "$file" ] || echo "$file"; done >"$list"
[ -s "$list" ] || { echo 'lint.sh: no sources found' >&2; exit 1; }

echo 'formatting'
xargs clang-format --dry-run -Werror <"$list" || failed=1

echo 'clang-tidy'
tools/build.sh build
grep -E '^(src|devserver|tools|sim|edge)/.*\.c$' "$list" |
    xargs -P "$(nproc)" -n 4 clang-tidy -p build --quiet 2>/dev/null || failed=1

echo 'manual pages'
# Which other pages this machine has is no matter.
if mandoc -T lint docs/man/*.[1-9] 2>/dev/null | grep -v 'referenced manual not found'; then
    failed=1
fi

for check in tests/checks/check_includes.py tests/checks/check_docs.py tests/checks/check_man.py; do
    echo "$check"
    /usr/bin/python3 "$check" || failed=1
done
[ $failed = 0 ] && echo 'lint: nothing to mend'
exit $failed
