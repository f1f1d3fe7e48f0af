#!/bin/sh
# guards.sh: takes each guard out of imapconnect.h, one after the other, and sees the test go red that is named for it.
#
#   guards.sh              all of guards.txt
#   guards.sh PATTERN      those whose names match the pattern of grep: `guards.sh '^2\.'`, `guards.sh suites`
#
# guards.txt has a block for each guard of SECURITY 1 (wolfSSL's traps), 2 (STARTTLS) and 3 (the rules in README.md), for
# those of config.tls and config.auth, with an empty line behind it:
#
#   [NAME] what is guarded
#   - a piece of imapconnect.h, which must stand there exactly once; any white space fits any other
#   + what comes in its place; may be missing, then nothing does. `-` and `+` may have several lines
#   ! the test that must fail, one of these:
#         test_ROOM.c NAME            a cmocka test
#         transcripts FILE            a dialogue
#         tls.sh PART NAME            a check in a part of tls.sh; * stands for any text
#         compiles OPTIONS            the header must be refused by the compiler with these; without the guard it is not
#         symbols PATTERN             of what the object calls, nothing may match
#         object writable             nothing in it may be written to; `recursive`: no function of it may call itself, in
#                                     any number of steps; `growing`: no array in it may have a size that is not known
#
# Where two places guard the same, and each of them is enough, another `-` stands behind the `+`, which may be alone, and
# both give way together.
#
# The test runs alone, without sanitizers, and also with the header as it is, where it must be green. Each rule of section
# 3, each class of section 2 and each trap of section 1 must have a guard here. The last line is `N passed, N failed`. It
# takes four minutes of one core, and some waiting for servers that are silent.
#
# Debian: clang, libwolfssl-dev, libcmocka-dev, openssl.
set -u

cd "$(dirname "$0")/.." || exit 1
LC_ALL=C
export LC_ALL
BUILD_DIR=${BUILD_DIR:-$PWD/build}
mkdir -p "$BUILD_DIR" && BUILD_DIR=$(cd "$BUILD_DIR" && pwd) && work=$(mktemp -d "$BUILD_DIR/guards.XXXXXX") || exit 1
chmod 755 "$work"
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# shellcheck source=tests/check.sh
. tests/check.sh
pattern=${1:-}
tree=$work/tree
options='-std=c99 -D_POSIX_C_SOURCE=200809L -O0 -w'

command -v clang >/dev/null || {
    ok "guards # skipped: clang is missing"
    sum_up
    exit
}
mkdir -p "$tree/build"
cp -R tests certs examples README.md build.sh imapconnect.h "$tree"
# What a guard alone has used is unused without it, which is no error here.
sed 's/ -Werror//' tests/check.sh >"$tree/tests/check.sh"
cp imapconnect.h tests/guards.txt "$work"

# ---- guards.txt ----

names() {
    sed -n 's/^\[\([^]]*\)\].*/\1/p' "$work/guards.txt"
}

# field NAME SIGN: the lines of a block that begin with SIGN and a space.
field() {
    awk -v name="[$1]" -v sign="$2" '
        /^\[/ { here = index($0, name) == 1 }
        here && substr($0, 1, 2) == sign " " { print substr($0, 3) }' "$work/guards.txt"
}

# Writes the header without a guard into the tree: each piece of the block gives way to what stands behind it. Prints how
# often its text was found, and leaves in `old` the piece that was not found once.
take_out() {
    awk -v name="[$1]" -v out="$tree/imapconnect.h" -v lost="$work/old" '
        # A pattern for a text: each character is itself, and any white space fits any other.
        function pattern(text) {
            gsub(/[^A-Za-z0-9_ \t\n]/, "[&]", text)
            gsub(/\[\\\]/, "\\\\\\\\", text)
            gsub(/\[\^\]/, "\\^", text)
            gsub(/[ \t\n]+/, "[ \t\n]+", text)
            return "^" text
        }
        # Puts a text in the place of a piece of `header`. To look for its first word is quicker than to match everywhere.
        function replace(piece, by,   wanted, word, rest, done, at, fits, size, count) {
            wanted = pattern(piece)
            match(piece, /^[^ \t\n]+/)
            word = substr(piece, 1, RLENGTH)
            for (rest = header; (at = index(rest, word)) > 0; rest = substr(rest, size + 1)) {
                done = done substr(rest, 1, at - 1)
                rest = substr(rest, at)
                fits = match(substr(rest, 1, 2 * length(piece) + 1000), wanted)
                size = fits ? RLENGTH : 1
                done = done (fits ? by : substr(rest, 1, 1))
                count += fits
            }
            header = done rest
            return count + 0
        }
        FNR == NR && /^\[/ { here = index($0, name) == 1 }
        FNR == NR {
            sign = substr($0, 1, 1)
            if (here && sign == "-" && was != "-") pieces++
            if (here && sign == "-") old[pieces] = old[pieces] (was == "-" ? "\n" : "") substr($0, 3)
            if (here && sign == "+") new[pieces] = new[pieces] (was == "+" ? "\n" : "") substr($0, 3)
            was = sign
            next
        }
        { header = $0 }
        END {
            for (i = 1; i <= pieces && (found = replace(old[i], new[i])) == 1; i++) continue
            if (i <= pieces) print old[i] >lost
            printf "%s", header >out
            print found + 0
        }' "$work/guards.txt" RS='\001' "$work/imapconnect.h"
}

# ---- the tests: each prints nothing when it is green, and a line when it is red ----

# What is made of the header as it is in the tree lies in $made: without a guard it is made anew, with all of them once.
compile() {
    if [ "$made" = "$work/whole" ] && [ -x "$made/$1.bin" ]; then
        return
    fi
    # shellcheck disable=SC2086
    (cd "$tree" && clang $options "tests/$1" -o "$made/$1.bin" -lcmocka -lwolfssl) >"$work/out" 2>&1
}

# unit FILE NAME. With lazy binding the dynamic linker would save registers on the stack in which secrets are sought.
unit() {
    grep -q "[(]$2[),]" "tests/$1" || {
        echo "there is no test $2 in $1" >&2
        return
    }
    compile "$1" || {
        echo "$1 does not compile" >&2
        return
    }
    { # and what the shell says of a crash
        (cd "$tree" && LD_BIND_NOW=1 TEST_FILTER=$2 BUILD_DIR=$tree/build timeout -k 1 60 "$made/$1.bin") \
            >"$work/out" 2>&1
        status=$?
    } 2>/dev/null
    [ $status -eq 0 ] || grep "^\[  FAILED  \] $2" "$work/out" || echo "$2 ended with status $status"
}

# dialogue FILE
dialogue() {
    [ -f "tests/transcripts/$1" ] || {
        echo "there is no dialogue $1" >&2
        return
    }
    compile test_transcripts.c || {
        echo "test_transcripts.c does not compile" >&2
        return
    }
    (cd "$tree" && timeout -k 1 60 "$made/test_transcripts.c.bin" "tests/transcripts/$1") >"$work/out" 2>&1 ||
        echo "$1 is red"
}

# servers PART NAME: NAME may have stars. What does not depend on the library is made once.
servers() {
    [ -d "$work/kept" ] || (cd "$tree" && TLS_KEEP=$work/kept TLS_PARTS=none BUILD_DIR=$tree/build sh tests/tls.sh) \
        >"$work/out" 2>&1
    compile tls_probe.c || {
        echo "tls_probe.c does not compile" >&2
        return
    }
    cp "$made/tls_probe.c.bin" "$work/kept/tls_probe"
    (cd "$tree" && TLS_KEEP=$work/kept TLS_PARTS=$1 TLS_CHECK=$2 BUILD_DIR=$tree/build timeout -k 5 300 sh tests/tls.sh) \
        >"$work/out" 2>&1
    found=
    while read -r line; do
        # The name is a pattern.
        # shellcheck disable=SC2254
        case $line in
        "not ok "$2*) echo "$line" ;;
        "ok "$2*) found=1 ;;
        esac
    done <"$work/out" >"$work/bad"
    head -n 1 "$work/bad"
    [ -s "$work/bad" ] || [ "$found" ] || echo "there is no check $2 in $1" >&2
}

object() {
    # shellcheck disable=SC2086
    clang $options "$@" -c "$tree/tests/hygiene/implement.c" -o "$work/object.o" 2>"$work/out"
}

# The header must refuse these options, by an #error of its own.
refuses() {
    # Several words.
    # shellcheck disable=SC2086
    object $1
    grep -q 'error: "imapconnect\.h' "$work/out" || echo "not refused with $1"
}

symbols() {
    object || echo 'it does not compile' >&2
    nm -u "$work/object.o" | awk '{ print $NF }' | grep -x -e "$1"
}

# property NAME
property() {
    (cd "$work" && gcc -std=c99 -D_POSIX_C_SOURCE=200809L -O0 -fno-pic -Wvla -fcallgraph-info -c tree/tests/hygiene/implement.c \
        -o object.o) 2>"$work/out" || echo 'it does not compile' >&2
    case $1 in
    writable) writable_in "$work/object.o" ;;
    recursive) recursive_in "$work/object.ci" ;;
    growing) grep -e '-Wvla' "$work/out" ;;
    *) echo "unknown property: $1" >&2 ;;
    esac
}

red() {
    test=${1%% *} rest=${1#* }
    case $test in
    test_*.c) unit "$test" "$rest" ;;
    transcripts) dialogue "$rest" ;;
    tls.sh) servers "${rest%% *}" "${rest#* }" ;;
    compiles) refuses "$rest" ;;
    symbols) symbols "$rest" ;;
    object) property "$rest" ;;
    *) echo "unknown kind of test: $test" >&2 ;;
    esac
}

# ---- each guard ----

# How the test is without the guard, and with it: one test is asked but once how it is with all guards.
try() {
    found=$(take_out "$1")
    test=$(field "$1" !)
    made=$work/without
    if [ "$found" -ne 1 ]; then
        not_ok "$1" "its text stands in the header $found times" "$work/old"
    elif [ -z "$test" ]; then
        not_ok "$1" "no test is named for it"
    elif [ -z "$(red "$test" 2>"$work/trouble")" ] || [ -s "$work/trouble" ]; then
        not_ok "$1" "without it, this does not fail: $test" "$work/trouble"
    else
        cp "$work/imapconnect.h" "$tree"
        made=$work/whole
        is_green "$test" && ok "$1"
    fi
}

is_green() {
    ! grep -qxF "$1" "$work/green" || return 0
    red "$1" >"$work/red" 2>&1
    [ -s "$work/red" ] || {
        echo "$1" >>"$work/green"
        return 0
    }
    not_ok "$1" "it is red with all guards in place" "$work/red"
    return 1
}

# What must have one. Of section 3, rule 2 is 2.injection, 4 is 2.preauth, 6 is in section 1, 8 is 1.suites-verify-off, 9
# is 2.tag and 2.foreign, 11 is 2.state.
needed='1.suites 1.version 1.certificate 1.verify 1.min 1.address 1.name 1.signature 1.refusal 1.callback 1.trusted-peer
    1.cleanup 1.resumption 1.silence 1.cas 1.below 1.truncated 1.latch 1.base64 1.md5 1.hmac
    2.injection 2.stripping 2.preauth 2.early 2.foreign 2.tag 2.state 2.referral 2.spoofed 2.bounded
    3.01 3.03 3.05 3.07 3.10 3.12 3.13 3.14 3.15 3.16 3.17 3.18 3.19 3.20 3.21 3.22 3.23 3.24 3.25 3.26 3.27 3.28 3.29
    3.30 3.31 3.32 3.33
    config.pin config.own config.ticket config.clear config.mechanisms config.scram'

: >"$work/green"
mkdir "$work/without" "$work/whole"
names | sort | uniq -d >"$work/twice"
[ ! -s "$work/twice" ] || not_ok "guards.txt: each name once" "not so" "$work/twice"
for what in $needed; do
    names | grep -q "^$what\(-\|\$\)" || not_ok "guards.txt: a guard for $what" "there is none"
done
for name in $(names | grep -e "$pattern"); do
    try "$name"
done
sum_up
