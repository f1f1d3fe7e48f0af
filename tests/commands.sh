#!/bin/sh
# commands.sh: every command of the header against a real Dovecot, in clear, with TLS and with STARTTLS, blocking and
# not; what it costs to store and to receive 50 MB and to list 10,000 messages. The checks are in live_commands.c.
#
#   commands.sh          all of it
#
# The checks run with AddressSanitizer and UBSan; where memory is measured, without. One line `ok NAME` or
# `not ok NAME - why` for each check; lines with # are figures; the last line is `N passed, N failed`.
set -u

cd "$(dirname "$0")/.." || exit 1
LC_ALL=C
export LC_ALL
BUILD_DIR=${BUILD_DIR:-build}
mkdir -p "$BUILD_DIR" && BUILD_DIR=$(cd "$BUILD_DIR" && pwd) || exit 1
work=$(mktemp -d "$BUILD_DIR/commands.XXXXXX") || exit 1
chmod 755 "$work"
pids='' run=10

finish() {
    for pid in $pids; do
        kill "$pid" 2>/dev/null
    done
    wait
    for variant in normal no-move; do
        [ ! -d "$work/$variant" ] || sh tests/dovecot.sh stop "$work/$variant" &
    done
    wait
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 1' HUP INT TERM

# shellcheck source=tests/check.sh
. tests/check.sh

# ---- build, servers ----

asan='-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer'
ASAN_OPTIONS=exitcode=99:abort_on_error=0 UBSAN_OPTIONS=print_stacktrace=1
export ASAN_OPTIONS UBSAN_OPTIONS

# compile NAME FLAGS
compile() {
    # Both are several words.
    # shellcheck disable=SC2086
    gcc -std=c99 -D_POSIX_C_SOURCE=200809L $2 $warnings tests/live_commands.c -o "$work/$1" -lwolfssl
}

# The programs and the servers, all at a time.
build() {
    sh certs/make.sh "$work/certs" || return 1
    CERTS=$work/certs
    export CERTS
    compile checks "$asan" &
    started=$!
    compile figures -O2 &
    started="$started $!"
    for variant in normal no-move; do
        sh tests/dovecot.sh start "$work/$variant" $variant &
        started="$started $!"
    done
    # shellcheck disable=SC2086
    all_end $started
}

build || {
    not_ok build 'live_commands.c does not compile, or a Dovecot does not start'
    sum_up
    exit 1
}

# ---- the runs ----

# checks VARIANT USER SECURE MODE GROUP...: one after the other; a program that ends without its last line has crashed.
# The user must not be in use.
checks() {
    # The names are those of dovecot.sh.
    # shellcheck disable=SC1090,SC1091
    . "$work/$1/env"
    VARIANT=$1
    # shellcheck disable=SC2153
    export HOST IMAP_PORT IMAPS_PORT CAFILE USER PASSWORD STATE VARIANT BIG_FILE BIG_NUMBER BIG_SIZE
    mailer=$2 secure=$3 mode=$4
    shift 4
    for group; do
        program=checks
        case $group in big | many) program=figures ;; esac
        timeout 90 "$work/$program" "$group" "$mailer" "$secure" "$mode" >"$work/out.$run.$group" \
            2>"$work/err.$run.$group"
        status=$?
        [ "$(tail -n 1 "$work/out.$run.$group")" = 'done' ] && [ $status -le 1 ] ||
            echo "not ok $group of $mailer on $VARIANT, $secure, $mode - status $status" >>"$work/out.$run.$group"
    done
}

# One that mostly waits runs beside the others.
beside() {
    run=$((run + 1))
    checks "$@" &
    pids="$pids $!"
}
alone() {
    run=$((run + 1))
    # What it sets is its own.
    (checks "$@")
}

# Waits for those beside.
ended() {
    # shellcheck disable=SC2086
    wait $pids
    pids=
}

beside normal own7 0 blocking idle link
beside normal own8 1 stepping idle link
beside normal own9 2 blocking idle
beside normal bare1 2 stepping idle link
beside no-move own7 0 blocking idle
n=0
for mode in blocking stepping; do
    for secure in 0 1 2; do
        n=$((n + 1))
        alone normal own$n $secure $mode commands names errors
    done
done
alone normal bare2 0 stepping commands names errors
alone normal bare3 1 blocking commands
alone no-move own1 2 stepping commands errors
alone no-move own2 0 blocking commands
ended
beside normal own9 1 blocking many
alone normal own7 1 blocking big
alone normal own8 1 stepping big
alone normal own6 0 stepping race
ended

# ---- the sum ----

for out in "$work"/out.*; do
    while read -r word rest; do
        case $word in
        ok) ok "$rest" ;;
        not) not_ok "$(echo "$rest" | sed 's/^ok //; s/ - .*//')" "${rest#* - }" "$work/err.${out##*/out.}" ;;
        '#') echo "# $rest" ;;
        esac
    done <"$out"
done
sum_up
