#!/bin/sh
# fuzz.sh: the header against libFuzzer, with AddressSanitizer and UBSan. What is checked in each run is described in
# tests/fuzz/fuzz.h and in the four targets beside it.
#
#   fuzz.sh SECONDS [TARGET ...]   fuzzes connect, responses, rows and names, or those named, so many seconds each
#   fuzz.sh replay                 every seed once, and then three seconds each: a part of the test run
#
# The seeds are lines of tests/fuzz/TARGET.seeds and the dialogues of tests/transcripts. What is found out is kept in
# BUILD_DIR/fuzz/TARGET, and the next run goes on from there; an input that shows a fault is kept in BUILD_DIR/fuzz/found,
# and `BUILD_DIR/fuzz/bin/TARGET FILE` runs it again.
set -u

caller=$PWD
cd "$(dirname "$0")/.." || exit 1
case ${BUILD_DIR:=$PWD/build} in
/*) ;;
*) BUILD_DIR=$caller/$BUILD_DIR ;;
esac
mkdir -p "$BUILD_DIR/fuzz" || exit 1

# shellcheck source=tests/check.sh
. tests/check.sh
all='connect responses rows names'
seconds=3
ASAN_OPTIONS=quarantine_size_mb=16:${ASAN_OPTIONS:-}
UBSAN_OPTIONS=print_stacktrace=1:${UBSAN_OPTIONS:-}
export ASAN_OPTIONS UBSAN_OPTIONS

usage() {
    sed -n '2,/^set -u/s/^# \{0,1\}//p' tests/fuzz.sh >&2
    exit 2
}

# Is there a clang, and has it libFuzzer? In Debian that is another package.
has_fuzzer() {
    echo 'int LLVMFuzzerTestOneInput(void); int LLVMFuzzerTestOneInput(void) { return 0; }' >"$work/probe.c"
    clang -fsanitize=fuzzer,address,undefined "$work/probe.c" -o "$work/probe" >"$work/probe.out" 2>&1
}

# build TARGET LEVEL FILE: under another name first, so that one that runs is never half written.
build() {
    # $warnings is several words.
    # shellcheck disable=SC2086
    clang -std=c99 -D_POSIX_C_SOURCE=200809L "-$2" -g $warnings -fsanitize=fuzzer,address,undefined \
        -fno-sanitize-recover=all "tests/fuzz/fuzz_$1.c" -o "$3.$$" -lwolfssl && mv -f "$3.$$" "$3"
}

# seeds TARGET FOLDER: each line is a name and a text for %b.
seeds() {
    mkdir -p "$2" || return 1
    {
        [ ! -f "tests/fuzz/$1.seeds" ] || cat "tests/fuzz/$1.seeds"
        [ "$1" = names ] || awk -v target="$1" -f tests/fuzz/seeds.awk tests/transcripts/*.txt
    } | while IFS=' ' read -r name text; do
        case $name in
        '' | '#'*) ;;
        *) printf '%b' "$text" >"$2/$name" ;;
        esac
    done
}

# fuzz PROGRAM OPTION... FOLDER...: what libFuzzer is always told. A finding is written to $found.
fuzz() {
    program=$1
    shift
    "$program" -dict=tests/fuzz/imap.dict -max_len=2000 -timeout=20 -rss_limit_mb=1024 -print_final_stats=1 \
        -artifact_prefix="$found/" "$@"
}

# summary FILE: executions, edges and the size of the corpus, from the output of libFuzzer.
summary() {
    awk '/^stat::number_of_executed_units:/ { runs = $2 }
        match($0, / cov: [0-9]+/) { edges = substr($0, RSTART + 6, RLENGTH - 6) }
        match($0, / corp: [0-9]+/) { inputs = substr($0, RSTART + 7, RLENGTH - 7) }
        END { printf "%d executions, %d edges, %d inputs\n", runs, edges, inputs }' "$1"
}

# What a failed run has said: the fault itself, without the line for each new input.
findings() {
    grep -v '^#[0-9]\|NEW_FUNC\|^INFO\|# Uses' "$1" | tail -n 60
}

# ---- the test run ----

# One target: builds it, reads every seed once, and fuzzes for some seconds. It runs beside others, so what it says goes
# to files, and replay_report() reads them.
replay_one() {
    build "$1" O0 "$work/$1" >"$work/$1.build" 2>&1 || return 1
    seeds "$1" "$work/$1.seeds" || return 1
    mkdir -p "$work/$1.corpus"
    fuzz "$work/$1" -runs=0 "$work/$1.seeds" >"$work/$1.replay" 2>&1 || return 1
    touch "$work/$1.replayed"
    fuzz "$work/$1" -max_total_time="$seconds" "$work/$1.corpus" "$work/$1.seeds" >"$work/$1.fuzz" 2>&1 || return 1
    touch "$work/$1.fuzzed"
}

replay_report() {
    if [ -f "$work/$1.replayed" ]; then
        ok "$1: every seed ($(find "$work/$1.seeds" -type f | wc -l | tr -d ' '))"
    elif [ -f "$work/$1.replay" ]; then
        findings "$work/$1.replay" >"$work/$1.why"
        not_ok "$1: every seed" "the input is kept in $found" "$work/$1.why"
        return
    else
        not_ok "$1" "does not compile" "$work/$1.build"
        return
    fi
    if [ -f "$work/$1.fuzzed" ]; then
        ok "$1: $seconds s ($(summary "$work/$1.fuzz"))"
    else
        findings "$work/$1.fuzz" >"$work/$1.why"
        not_ok "$1: $seconds s" "the input is kept in $found" "$work/$1.why"
    fi
}

# Two at a time, as run.sh does it.
replay() {
    if ! has_fuzzer; then
        ok '# skipped: no clang with libFuzzer here (in Debian: clang and libclang-rt-14-dev)'
        return
    fi
    replay_one connect &
    replay_one names
    wait
    replay_one responses &
    replay_one rows
    wait
    for target in $all; do
        replay_report "$target"
    done
}

# ---- for as long as somebody likes ----

# One target. Returns 1 when it has found something.
fuzz_one() {
    program=$BUILD_DIR/fuzz/bin/$1
    mkdir -p "$BUILD_DIR/fuzz/bin" "$BUILD_DIR/fuzz/$1"
    build "$1" O1 "$program" || return 1
    seeds "$1" "$work/$1.seeds" || return 1
    if fuzz "$program" -max_total_time="$seconds" "$BUILD_DIR/fuzz/$1" "$work/$1.seeds" >"$work/$1.out" 2>&1; then
        echo "$1: $(summary "$work/$1.out")"
        return 0
    fi
    findings "$work/$1.out"
    echo "$1: $(summary "$work/$1.out"), and a FINDING: the input is in $found"
    return 1
}

fuzz_all() {
    status=0
    has_fuzzer || {
        cat "$work/probe.out" >&2
        echo "fuzz.sh: needs clang with libFuzzer (in Debian: clang and libclang-rt-14-dev)" >&2
        exit 1
    }
    for target; do
        [ -f "tests/fuzz/fuzz_$target.c" ] || usage
    done
    for target; do
        fuzz_one "$target" || status=1
    done
    return $status
}

case ${1-replay} in
replay) ;;
'' | *[!0-9]*) usage ;;
*) seconds=$1 ;;
esac

work=$(mktemp -d "$BUILD_DIR/fuzz/run.XXXXXX") || exit 1
found=$BUILD_DIR/fuzz/found
mkdir -p "$found" || exit 1
trap 'rm -rf "$work"; rm -f "$BUILD_DIR"/fuzz/bin/*.$$' EXIT
trap 'exit 1' HUP INT TERM

if [ "${1-replay}" = replay ]; then
    replay
    sum_up
    exit
fi
shift
# shellcheck disable=SC2086
[ $# -gt 0 ] || set -- $all
fuzz_all "$@"
