#!/bin/sh
# beside.sh CHECK TESTS: run two shell commands at the same time; both must succeed.
# TESTS shows what it does; what CHECK said is shown once TESTS has ended.
set -u
said=$(mktemp)
sh -c "$1" >"$said" 2>&1 &
check=$!
trap 'kill $check 2>/dev/null; rm -f "$said"' EXIT
trap 'exit 130' INT TERM
sh -c "$2"
tests=$?
wait $check
checked=$?
printf '\n===== %s =====\n' "$1"
cat "$said"
result() {
    [ "$2" -eq 0 ] && echo "passed: $1" || echo "FAILED: $1 (it is shown above)"
}
printf '\n'
result "$1" $checked
result "$2" $tests
[ $checked -eq 0 ] && [ $tests -eq 0 ]
