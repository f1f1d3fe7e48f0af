#!/bin/sh
# analyze.sh: what do the tools find that look for bugs by themselves?
#
#   analyze.sh [TOOL ...]    gcc clang tidy cppcheck valgrind msan tsan; without an argument all of them
#   analyze.sh read          the first four
#   analyze.sh watch         the others
#
# The first four read imapconnect.h, the others watch the tests run. Each must report what is planted in planted.h, so
# that its silence means something. What they report and is to stay is in `deviations` below, with the reason.
#
# Debian: gcc, clang, clang-tidy, cppcheck, valgrind, libclang-rt-14-dev, libwolfssl-dev, libcmocka-dev, dovecot-imapd.
# Without a tool its checks are skipped. It takes about ten minutes on one core.
set -u

cd "$(dirname "$0")/.." || exit 1
LC_ALL=C
export LC_ALL
PATH=$PATH:/usr/sbin:/sbin
BUILD_DIR=${BUILD_DIR:-$PWD/build}
mkdir -p "$BUILD_DIR" && work=$(mktemp -d "$BUILD_DIR/analyze.XXXXXX") || exit 1
chmod 755 "$work"

finish() {
    [ ! -d "$work/dovecot" ] || sh tests/dovecot.sh stop "$work/dovecot"
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 1' HUP INT TERM

# shellcheck source=tests/check.sh
. tests/check.sh
standard='-std=c99 -D_POSIX_C_SOURCE=200809L'
lines=$(wc -l <imapconnect.h)
status=0

# there TOOL PROGRAM...: are all the programs here? If not, the checks of TOOL count as skipped.
there() {
    tool=$1
    shift
    for program; do
        command -v "$program" >/dev/null || {
            ok "$tool # skipped: $program is missing"
            return 1
        }
    done
}

# ---- what they report and is to stay ----

# CHECK | the line, without its indentation | the reason. One that is not reported any more must go.
deviations() {
    cat <<'END'
bugprone-macro-parentheses | #define IMAPCONNECT_CODE_VALUE(name, number, fatal, text) name = number, | an enumerator's name takes no parentheses
bugprone-signed-char-misuse,cert-str34-c | int c = *next; | it is only compared with characters of ASCII, which are the same either way
bugprone-signed-char-misuse,cert-str34-c | int c = **at; | the same
core.UndefinedBinaryOperatorResult | text[user + 1 + 2 * i] = imc_bytes_hex(digest[i] >> 4u); | a digest is read when imc_hmac() says that it is there
clang-analyzer-core.UndefinedBinaryOperatorResult | text[user + 1 + 2 * i] = imc_bytes_hex(digest[i] >> 4u); | the same
bugprone-not-null-terminated-result | memcpy(text, "c=", 2); | bytes, which are encoded and never a text
bugprone-not-null-terminated-result | memcpy(text + 2, binding, bound); | the same
bugprone-not-null-terminated-result | memcpy(text + 2 + bound, ",r=", 3); | the same
bugprone-not-null-terminated-result | memcpy(next + nonce, ",p=", 3); | the same
bugprone-not-null-terminated-result | if (*text < 0x20 || *text > 0x7e || memchr(without, *text, strlen(without)) != 0) | NUL has ended the loop
bugprone-not-null-terminated-result | if (memchr("nuxfl", *format, 5) != 0) { | NUL is not among them
knownConditionTrueFalse | return (auth & mechanism->bit) != 0 && !bound && engine->tries < IMC_MAX_TRIES; | without SCRAM nothing is bound
readability-function-cognitive-complexity | static int imc_session_loop(imapconnect_session *session) | the one loop: what can happen between two steps stands in one place
END
}

# ---- the tools that read ----

# The header in $work/read, the planted bugs behind it, and a file that includes both.
prepare() {
    mkdir -p "$work/read"
    cat imapconnect.h tests/planted.h >"$work/read/imapconnect.h"
    printf '#define IMAPCONNECT_IMPLEMENTATION\n#include "imapconnect.h"\n' >"$work/read/unit.c"
}

# analyze COMMAND...: runs it in $work/read. Reports are lines "FILE:LINE:COLUMN: KIND: TEXT [CHECK]" in $work/reports.
analyze() {
    (cd "$work/read" && "$@") >"$work/out" 2>&1
    status=$?
    awk -F: -v unit="$work/read/" '/^[^ :]+:[0-9]+:[0-9]+: (warning|error|style|performance|portability): / {
            sub(/^\.\//, "")
            if (index($0, unit) == 1) $0 = substr($0, length(unit) + 1)
            if (!/-Wanalyzer-too-complex/) print
        }' "$work/out" | sort -u >"$work/reports"
}

# Prints the reports that are neither planted nor named. $work/named gets those that are, as `deviations` has them.
findings() {
    deviations >"$work/deviations"
    awk -v last="$lines" -v named="$work/named" -v header=imapconnect.h -F' [|] ' '
        FILENAME == ARGV[1] { known[$1 "|" $2] = $0; next }
        FILENAME == ARGV[2] { sub(/^ */, ""); source[FNR] = $0; next }
        {
            split($0, place, ":")
            check = $0
            sub(/.*\[/, "", check)
            sub(/\]$/, "", check)
            key = check "|" source[place[2]]
            if (place[1] != header) print
            else if (place[2] > last) next
            else if (key in known) print known[key] >>named
            else { print; print "    " source[place[2]] }
        }' "$work/deviations" imapconnect.h "$work/reports"
}

# Prints the lines of planted.h that are marked with NAME and were not reported.
asleep() {
    awk -v last="$lines" -v name="$1" '
        FILENAME == ARGV[1] { split($0, place, ":"); seen[place[2] - last] = place[1] == "imapconnect.h"; next }
        /\/\* [a-z -]* \*\/$/ {
            marks = $0
            sub(/.*\/\*/, "", marks)
            if (index(marks, " " name " ") && !seen[FNR]) print "planted.h:" FNR ":" $0
        }' "$work/reports" tests/planted.h
}

# judge TITLE NAME: two checks, that it ran and found nothing, and that it was awake.
judge() {
    findings >"$work/findings"
    if [ "$status" != 0 ]; then
        not_ok "$1: finds nothing" "it ended with status $status" "$work/out"
    elif [ -s "$work/findings" ]; then
        not_ok "$1: finds nothing" "$(grep -c '^[^ ]' "$work/findings") reports" "$work/findings"
    else
        ok "$1: finds nothing"
    fi
    asleep "$2" >"$work/asleep"
    if [ -s "$work/asleep" ] || ! grep -q "/\*.* $2 " tests/planted.h; then
        not_ok "$1: awake" "what is planted was not reported" "$work/asleep"
    else
        ok "$1: awake"
    fi
}

# A copy of the header with the bodies of one room alone, and of the two lowest; the others become declarations. Lines
# keep their numbers.
room_alone() {
    awk -v wanted="$1" '
        /^\/\* >>[a-z0-9]+ ---/ { room = substr($2, 3) }
        /^static .*[,)]$/ { sub(/^static /, "") }
        $0 == "{" { outside = room != "" && room != wanted && room != "ground" && room != "bytes" }
        outside { print $0 == "{" ? ";" : ""; if ($0 == "}") outside = 0; next }
        { print }' imapconnect.h
}

# gcc follows calls into each other until it has had enough, and gives up in silence: it has had enough of the header as
# a whole long before the end. So it reads room by room, with more patience, and giving up is a failure.
run_gcc() {
    there gcc gcc || return 0
    patience='--param=analyzer-bb-explosion-factor=200 --param=analyzer-max-enodes-per-program-point=20'
    mkdir -p "$work/read"
    sed -n 's,^/\* >>\([a-z0-9]*\) ---.*,\1,p' imapconnect.h >"$work/rooms"
    while read -r room; do
        prepare
        { room_alone "$room" && cat tests/planted.h; } >"$work/read/imapconnect.h"
        # Both are several words.
        # shellcheck disable=SC2086
        analyze gcc $standard -fanalyzer -Wanalyzer-too-complex $patience -c unit.c -o unit.o
        ! grep -q 'bailed out early' "$work/out" || status='that of one who gave up'
        judge "gcc -fanalyzer, $room" gcc
    done <"$work/rooms"
}

# Of the checkers that clang calls alpha those that do not cry wolf here: the others take what a function of ours
# returns for any number.
run_clang() {
    there clang clang || return 0
    prepare
    alpha=alpha.core.BoolAssignment,alpha.core.CastSize,alpha.core.IdenticalExpr,alpha.core.PointerSub
    alpha=$alpha,alpha.core.SizeofPtr,alpha.deadcode,alpha.security.ReturnPtrRange,alpha.security.MallocOverflow
    alpha=$alpha,alpha.unix.cstring,alpha.unix.StdCLibraryFunctionArgs
    for switches in '' '-DIMAPCONNECT_NO_TLS -DIMAPCONNECT_NO_SOCKETS'; do
        # Both are several words.
        # shellcheck disable=SC2086
        analyze clang $standard $switches --analyze -Xanalyzer -analyzer-opt-analyze-headers -Xanalyzer \
            -analyzer-checker=security,nullability,optin.portability,optin.performance,$alpha -o unit.plist unit.c
        judge "clang --analyze${switches:+, }$switches" clang
    done
}

# All checks of these groups but those with a reason.
tidy_checks() {
    sed 's/ .*//' <<'END' | tr '\n' ,
-*
bugprone-*
cert-*
clang-analyzer-*
concurrency-*
misc-*
performance-*
portability-*
readability-*
-bugprone-branch-clone                   two cases may do the same for two reasons; the tables of codes do it a lot
-bugprone-easily-swappable-parameters    the order of parameters is that of the documented commands
-bugprone-narrowing-conversions          -Wconversion knows that '=' fits a char
-readability-braces-around-statements    the style of the file: no braces round one line
-readability-identifier-length           "at", "c" and "i" are names, too
-readability-isolate-declaration         the style of the file
-readability-magic-numbers               a protocol is made of them; those that mean something have names
-readability-uppercase-literal-suffix    the style of the file
END
}

run_tidy() {
    there clang-tidy clang-tidy || return 0
    prepare
    limits='{CheckOptions: [{key: readability-function-size.LineThreshold, value: 90}]}'
    # Directly on the header: through a .c file it says nothing of one.
    # shellcheck disable=SC2086
    analyze clang-tidy --quiet --checks="$(tidy_checks)" --config="$limits" imapconnect.h -- -x c $standard \
        -DIMAPCONNECT_IMPLEMENTATION
    judge clang-tidy tidy
}

# It has libraries of its own in place of the system's headers, and does not need wolfSSL's.
run_cppcheck() {
    there cppcheck cppcheck || return 0
    prepare
    for switches in '-DIMAPCONNECT_EVERYTHING' '-DIMAPCONNECT_NO_TLS' '-DIMAPCONNECT_NO_SOCKETS' \
        '-DIMAPCONNECT_NO_STRINGS -DIMAPCONNECT_NO_COMMANDS'; do
        # The scope of a variable is a matter of style: here they stand where the function begins.
        # shellcheck disable=SC2086
        analyze cppcheck --quiet --std=c99 -D_POSIX_C_SOURCE=200809L -D__GNUC__=12 -DAI_NUMERICHOST=4 \
            -DWOLFSSL_ALWAYS_VERIFY_CB -DWOLFSSL_VERIFY_CB_ALL_CERTS -DIMAPCONNECT_IMPLEMENTATION $switches \
            --library=posix --inconclusive \
            --enable=warning,style,performance,portability --suppress=variableScope unit.c
        judge "cppcheck $switches" cppcheck
    done
}

# What is named above must have been reported by one of them. Only said when all four have run.
stale() {
    deviations | while read -r line; do
        grep -qxF -- "$line" "$work/named" || echo "$line"
    done >"$work/stale"
    if [ -s "$work/stale" ]; then
        not_ok "deviations: all are still needed" "these are not reported any more" "$work/stale"
    else
        ok "deviations: all are still needed"
    fi
}

# ---- the tools that watch ----

# planted NAME STATUS COMMAND...: the tool must end it with STATUS.
planted() {
    what=$1 wanted=$2
    shift 2
    "$@" >"$work/out" 2>&1
    status=$?
    if [ $status -eq "$wanted" ]; then
        ok "$what: awake"
    else
        not_ok "$what: awake" "what is planted ended with status $status, not $wanted" "$work/out"
    fi
}

# compile COMPILER OUTPUT SOURCE OPTION...
compile() {
    compiler=$1 output=$2 source=$3
    shift 3
    # shellcheck disable=SC2086
    $compiler $standard -iquote tests -g -O0 -fno-omit-frame-pointer "$source" -o "$output" "$@" >"$work/out" 2>&1
}

planted_program() {
    echo '#include "planted.h"' >"$work/planted.c"
    compile "$1" "$work/planted" "$work/planted.c" -DPLANTED_MAIN -w -lpthread "$2"
}

# watch TITLE STATUS COMMAND...: STATUS is what the tool ends it with when it found something. The last line must be
# there. A test that fails counts only with TITLE valgrind: without TLS some cannot succeed.
watch() {
    title=$1 found=$2
    shift 2
    BUILD_DIR=$work timeout -k 5 600 "$@" >"$work/out" 2>"$work/err"
    status=$?
    result=$(tail -n 1 "$work/out" | grep '^[1-9][0-9]* passed, [0-9]* failed$')
    grep '^==[0-9]\|ERROR\|error:\|WARNING:\|^ *#' "$work/err" >"$work/why"
    if [ $status -eq "$found" ] || [ $status -ge 124 ] || [ -z "$result" ]; then
        not_ok "$title" "status $status" "$work/why"
    elif [ $status -ne 0 ] && [ "${title#valgrind}" != "$title" ]; then
        not_ok "$title" "$result" "$work/why"
    else
        ok "$title"
    fi
}

# Tests that look for secrets on the stack they have used read what nobody owns any more, on purpose.
suppressions() {
    for function in holds stack_holds; do
        for kind in Addr1 Cond; do
            printf '{\nlooks at its own stack\nMemcheck:%s\nfun:%s\n}\n' $kind $function
        done
    done
}

# Programs that do no TLS, so that wolfSSL's own code is not what is looked at.
run_valgrind() {
    there valgrind valgrind gcc || return 0
    suppressions >"$work/suppressions"
    memcheck="valgrind -q --suppressions=$work/suppressions --error-exitcode=97 --leak-check=full"
    memcheck="$memcheck --errors-for-leak-kinds=definite,indirect"
    planted_program gcc -g
    for bug in uninitialised leak; do
        # shellcheck disable=SC2086
        planted "valgrind, $bug" 97 $memcheck "$work/planted" $bug
    done
    for name in bytes codes sasl names lexer rows responses commands engine sockets session connect bare faults transcripts; do
        [ -f "tests/test_$name.c" ] || continue
        if compile gcc "$work/program" "tests/test_$name.c" -DONCE -lcmocka -lwolfssl; then
            # shellcheck disable=SC2086
            watch "valgrind: test_$name" 97 $memcheck "$work/program"
        else
            not_ok "valgrind: test_$name" "it does not compile" "$work/out"
        fi
    done
}

# Without TLS, since MemorySanitizer must have compiled all that writes, and wolfSSL it has not. With -DONCE nothing calls it.
run_msan() {
    there msan clang || return 0
    sanitize='-fsanitize=memory'
    if ! planted_program clang $sanitize; then
        ok "msan # skipped: clang's libraries (libclang-rt-14-dev) are missing"
        return 0
    fi
    MSAN_OPTIONS=exitcode=97
    export MSAN_OPTIONS
    planted "msan, uninitialised" 97 "$work/planted" uninitialised
    for name in bytes codes names lexer rows responses commands engine sockets session bare transcripts; do
        [ -f "tests/test_$name.c" ] || continue
        if compile clang "$work/program" "tests/test_$name.c" $sanitize -DONCE -DIMAPCONNECT_NO_TLS -w -lcmocka \
            -lwolfssl; then
            watch "msan: test_$name" 97 "$work/program"
        else
            not_ok "msan: test_$name" "it does not compile" "$work/out"
        fi
    done
}

# Sixteen threads against a real server. setarch: ThreadSanitizer of clang 14 cannot cope with much randomness in
# addresses.
run_tsan() {
    there tsan clang setarch dovecot || return 0
    if ! planted_program clang -fsanitize=thread; then
        ok "tsan # skipped: clang's libraries (libclang-rt-14-dev) are missing"
        return 0
    fi
    TSAN_OPTIONS=exitcode=97
    export TSAN_OPTIONS
    planted "tsan, race" 97 setarch -R "$work/planted" race
    if ! compile clang "$work/threads" tests/threads.c -fsanitize=thread -lwolfssl -lpthread; then
        not_ok "tsan: threads" "it does not compile" "$work/out"
    elif ! sh tests/dovecot.sh start "$work/dovecot" >"$work/out" 2>&1; then
        not_ok "tsan: threads" "Dovecot does not start" "$work/out"
    else
        run_threads
    fi
}

run_threads() {
    # shellcheck disable=SC1091
    . "$work/dovecot/env"
    # shellcheck disable=SC2153
    timeout -k 5 600 setarch -R "$work/threads" "$HOST" "$IMAP_PORT" "$IMAPS_PORT" "$CAFILE" "$USER" "$PASSWORD" \
        >"$work/out" 2>&1
    status=$?
    if [ $status -eq 0 ] && [ "$(grep -c ', 0 wrong$' "$work/out")" -eq 4 ]; then
        ok "tsan: threads"
    else
        not_ok "tsan: threads" "status $status" "$work/out"
    fi
}

: >"$work/named"
readers='gcc clang tidy cppcheck' watchers='valgrind msan tsan'
# shellcheck disable=SC2086
case ${1:-all} in
all) set -- $readers $watchers ;;
read) set -- $readers ;;
watch) set -- $watchers ;;
esac
for tool; do
    case " $readers $watchers " in
    *" $tool "*) "run_$tool" ;;
    *) not_ok "$tool" "there is no such tool here" ;;
    esac
done
case "$* " in
"$readers "*) stale ;;
esac
sum_up
