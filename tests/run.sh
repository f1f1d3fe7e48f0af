#!/bin/sh
# run.sh: compiles and runs every test, and adds up. `./build.sh test` calls it.
#
# Tests are the programs tests/test_*.c (see test.h) and the scripts named below. Each prints as its last line
# `N passed, N failed`; one that crashes, hangs or says nothing counts as one failed. When something failed, what the
# test said about it is shown. The last line is the sum; the status is 0 only when nothing failed and something
# passed.
#
# Two tests run at a time. All that they write is in a directory of this run's own under BUILD_DIR.
#
#   run.sh [NAME ...]      only these, `run.sh test_lexer.c live.sh` for example
#   run.sh programs        only the programs
#
# TEST_CC compiles the programs in place of gcc, TEST_LEVEL is how far it optimises, and TEST_SANITIZE is what it is told
# of sanitizers.
set -eu

cd "$(dirname "$0")/.."
BUILD_DIR=${BUILD_DIR:-build}
mkdir -p "$BUILD_DIR"
BUILD_DIR=$(cd "$BUILD_DIR" && pwd)
export BUILD_DIR

scripts='live.sh auth.sh firmware.sh hygiene.sh commands.sh fuzz.sh cli.sh coverage.sh tls.sh readme.sh figures.sh freestanding.sh'
# shellcheck source=tests/check.sh
. tests/check.sh
program_limit=300 script_limit=600
[ -z "${DEEP:-}" ] || program_limit=7200 # see README.md
boring='^ok \|^\[ RUN \|^\[       OK'

# Compiles one test program and runs it.
run_program() {
    # To optimise a program takes longer than it saves, but for the one that runs for long.
    level=${TEST_LEVEL:--O0}
    [ "$1" != test_transcripts.c ] || level=${TEST_LEVEL:--O1}
    # Both are several words.
    # shellcheck disable=SC2086
    ${TEST_CC:-gcc} -std=c99 -D_POSIX_C_SOURCE=200809L $level -g $warnings \
        ${TEST_SANITIZE--fsanitize=address,undefined -fno-sanitize-recover=all} "tests/$1" -o "$work/$1.bin" \
        -lcmocka -lwolfssl || return 1
    # Without handle_segv=2 cmocka catches the signal first, and the report of the sanitizer is lost.
    # Bound lazily, the first call of a function leaves registers on the stack, where secrets are looked for.
    LD_BIND_NOW=1 ASAN_OPTIONS=handle_segv=2:abort_on_error=1 UBSAN_OPTIONS=print_stacktrace=1 \
        timeout -k 5 $program_limit "$work/$1.bin"
}

# Runs one test, of either kind: its output is in $work/NAME.out, its two numbers are in $work/NAME.sum.
run_one() {
    status=0
    started=$(date +%s)
    case $1 in
    *.c) run_program "$1" >"$work/$1.out" 2>"$work/$1.err" || status=$? ;;
    *) timeout -k 5 $script_limit sh "tests/$1" >"$work/$1.out" 2>"$work/$1.err" || status=$? ;;
    esac
    # shellcheck disable=SC2046
    set -- "$1" $(tail -n 1 "$work/$1.out" | sed -n 's/^\([0-9]\{1,9\}\) passed, \([0-9]\{1,9\}\) failed$/\1 \2/p')
    passed=${2:-0} failed=${3:-1}
    [ "$status" -eq 0 ] || [ "$failed" -ne 0 ] || failed=1
    [ "$passed" -ne 0 ] || [ "$failed" -ne 0 ] || failed=1
    {
        [ "$failed" -eq 0 ] || grep -hv "$boring" "$work/$1.out" "$work/$1.err" | sed 's/^/    /'
        [ $# -eq 3 ] || echo "    $1 ended with status $status and without its last line"
        echo "$1: $passed passed, $failed failed, $(($(date +%s) - started)) s"
    } >"$work/$1.report"
    cat "$work/$1.report"
    echo "$passed $failed" >"$work/$1.sum"
}

if [ "${1:-}" = --one ]; then
    work=$2
    run_one "$3"
    exit 0
fi

work=$(mktemp -d "$BUILD_DIR/test.XXXXXX")
chmod 755 "$work"
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# The scripts first: they take longest. One that mostly waits stands beside one that mostly compiles.
if [ $# -eq 0 ]; then
    # shellcheck disable=SC2086
    set -- $scripts programs
fi
for name; do
    case $name in
    programs) ls -S tests/test_*.c ;; # the largest runs for longest, and must not be the last
    *) echo "tests/$name" ;;
    esac
done | sed 's,^tests/,,' >"$work/names"
# shellcheck disable=SC2046
set -- $(cat "$work/names")
xargs -n 1 -P 2 sh tests/run.sh --one "$work" <"$work/names" || true

for name; do
    if read -r good bad <"$work/$name.sum"; then
        passed=$((passed + good)) failed=$((failed + bad))
    else
        failed=$((failed + 1))
    fi
done
sum_up
