#!/bin/sh
# mutate.sh: would the tests notice if imapconnect.h were wrong?
#
#   mutate.sh ROOM [PATTERN]       breaks one thing after the other in ROOM, and runs the tests: one that goes red has
#                                  killed the mutant. Only those whose line with -l matches the PATTERN of grep
#   mutate.sh -s ROOM [PATTERN]    what survives is tried against the slow tests, too
#   mutate.sh -n COUNT ROOM        only one mutant in COUNT, always the same ones
#   mutate.sh -l ROOM [PATTERN]    lists the mutants: NUMBER|WHEN|FUNCTION|BEFORE ~> AFTER
#   mutate.sh -d ROOM NUMBER       shows one of them as a difference
#
# ROOM is a room of Part III, or several with commas between them: two at a time. mutate.c says what is broken. Nearly all
# mutants of a room are compiled into each test program at once, and MUTANT=NUMBER chooses one when it runs; those of
# tables and macros are compiled one by one. Which program reaches which mutant is found out first. The program of the
# room is tried before all dialogues in their simplest form, then come the other programs, the fast ones first; with -s
# also the dialogues in all forms, and tls.sh where the room is about connections. Each has a time limit. What survives
# is tried with the sanitizers, too. A mutant takes some milliseconds, a room some minutes on one core.
#
# What makes no difference does not count: what the compiler turns into the same code, and what stands in mutants.txt
# with the reason. A line there that no mutant needs is an error. Each survivor is shown; a check of its own is that of
# each room at least FLOOR in a hundred are killed. The last line is `N passed, N failed`: killed, and what is an error.
#
# Debian: clang, libwolfssl-dev, libcmocka-dev; for -s also openssl.
set -u

cd "$(dirname "$0")/.." || exit 1
LC_ALL=C
export LC_ALL
action=run slow='' every=1 floor=95
while getopts ldsn: option; do
    case $option in
    l) action=list ;;
    d) action=difference ;;
    s) slow=-s ;;
    n) every=$OPTARG ;;
    *) exit 2 ;;
    esac
done
shift $((OPTIND - 1))
rooms=${1:-} pattern=${2:-} partly=${2:-}
[ "$every" -eq 1 ] || partly=1
[ -n "$rooms" ] || {
    sed -n '2,/^set -u/s/^# \{0,1\}//p' "$0" >&2
    exit 2
}
BUILD_DIR=${BUILD_DIR:-$PWD/build}
mkdir -p "$BUILD_DIR" && BUILD_DIR=$(cd "$BUILD_DIR" && pwd) && work=$(mktemp -d "$BUILD_DIR/mutate.XXXXXX") || exit 1
chmod 755 "$work"
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# shellcheck source=tests/check.sh
. tests/check.sh

options='-std=c99 -D_POSIX_C_SOURCE=200809L -w'
tree=$work/tree

# All of this run is about one header and one state of the tests, even if somebody changes them meanwhile.
prepare() {
    command -v clang >/dev/null || {
        ok "mutate # skipped: clang is missing"
        sum_up
        exit
    }
    mkdir -p "$tree/build"
    cp -R tests certs examples README.md build.sh "$tree"
    cp imapconnect.h "$work"
    printf '#define ONCE\n#include "test_transcripts.c"\n' >"$tree/tests/test_dialogues.c"
    # shellcheck disable=SC2086
    clang $options -O1 tests/mutate.c -o "$work/mutate" || exit 1
}

mutate() {
    "$work/mutate" "$1" "$work/imapconnect.h" "$room" ${2:+"$2"}
}

# ---- the programs ----

# All programs: that of the room, then the quick ones of great effect; two take long.
programs_of() {
    for name in "$1" dialogues policy engine faults options regressions responses session connect commands lexer; do
        [ ! -f "$tree/tests/test_$name.c" ] || echo "$name"
    done >"$work/programs"
    (cd "$tree/tests" && ls test_*.c) | sed 's/^test_//; s/\.c$//' | grep -vx -e transcripts -e torture >>"$work/programs"
    [ -z "$slow" ] || printf '%s\n' torture transcripts >>"$work/programs"
    awk '!seen[$0]++' "$work/programs"
}

# compile NAME OPTION: one program with the header that is in the tree now.
compile() {
    # shellcheck disable=SC2086
    (cd "$tree" && clang $options "$2" "tests/test_$1.c" -o "$work/$1.bin" -lcmocka -lwolfssl) >"$work/out" 2>&1
}

# run NAME NUMBER MILLISECONDS: the first test that fails ends it, and so does the limit, of processor time. Then there is
# one of real time, for a child and for what waits.
run() {
    (
        cd "$tree" || exit 9
        # Not in POSIX, but in every sh of Debian and of the BSDs.
        # shellcheck disable=SC3045
        ulimit -c 0 -t $(($3 / 1000 + 2))
        MUTANT=$2 MUTANT_LIMIT=$3 LD_BIND_NOW=1 ASAN_OPTIONS=handle_segv=2 CMOCKA_TEST_ABORT=1 BUILD_DIR=$tree/build timeout -k 1 $(($3 / 100 + 20)) "$work/$1.bin"
        exit $?
    ) <"/dev/null" >"$work/out" 2>&1
}

compiles() {
    # shellcheck disable=SC2086
    clang $options -fsyntax-only -ferror-limit=0 "$tree/tests/hygiene/implement.c" 2>"$work/errors"
}

# Those that do not compile are found by the lines of the errors, and dropped.
write_all() {
    : >"$work/dropped"
    tries=0
    while mutate all "$work/dropped" >"$tree/imapconnect.h" && ! compiles; do
        sed -n 's/^[^:]*imapconnect\.h:\([0-9]*\):.* error: .*/\1p/p' "$work/errors" >"$work/lines"
        sed -n -f "$work/lines" "$tree/imapconnect.h" | sed -n 's,^/\*@\([0-9]*\)\*/.*,\1,p' >"$work/more"
        tries=$((tries + 1))
        if [ ! -s "$work/more" ] || [ $tries -eq 9 ]; then
            not_ok "$room: compiles with all mutants" "it does not" "$work/errors"
            return 1
        fi
        cat "$work/more" >>"$work/dropped"
    done
}

# The milliseconds of processor time that a program takes, unchanged.
measure() {
    (
        run "$1" 0 300000
        times
    ) | awk '
        function ms(text,   part) { split(text, part, /[ms]/); return 60000 * part[1] + 1000 * part[2] }
        END { print int(ms($1) + ms($2)) }'
}

# Compiles all programs of the room, and finds which mutants each of them reaches: lines "NUMBER NAME".
build_all() {
    : >"$work/reached"
    : >"$work/limits"
    for name in $programs; do
        # Two of them run for nearly every mutant, and the others less often than it takes to optimise them.
        case $name in "$room" | dialogues) level=-O1 ;; *) level=-O0 ;; esac
        compile "$name" $level || {
            not_ok "$room: $name compiles with all mutants" "it does not" "$work/out"
            return 1
        }
        head -c 20000 /dev/zero >"$work/marks"
        MUTANT_MARKS=$work/marks run "$name" 0 300000 || {
            not_ok "$room: $name is green" "it is not" "$work/out"
            return 1
        }
        od -An -v -w1 -c "$work/marks" | awk -v name="$name" '$1 == "x" { print NR - 1, name }' >>"$work/reached"
        echo "$name $((3 * $(measure "$name") + 100))" >>"$work/limits"
    done
}

# "NUMBER NAME:LIMIT NAME:LIMIT ..." for each mutant that is chosen when it runs. Those in mutants.txt have to survive two
# programs, and the others are spared.
plan() {
    awk -F '[| ]' -v wanted="$work/wanted" -v dropped="$work/dropped" -v limits="$work/limits" -v listed="$work/listed" '
        BEGIN {
            while ((getline <limits) > 0) limit[$1] = $2
            while ((getline <dropped) > 0) gone[$1] = 1
            while ((getline <listed) > 0) left[$1] = 2
        }
        FILENAME == ARGV[1] {
            if (!($1 in left) || left[$1]-- > 0) tests[$1] = tests[$1] " " $2 ":" limit[$2]
            next
        }
        $2 == "run" && !($1 in gone) { print $1 tests[$1] }' "$work/reached" "$work/wanted"
}

# ---- killing ----

# is_killed NUMBER NAME:LIMIT...
is_killed() {
    number=$1
    shift
    for test; do
        run "${test%:*}" "$number" "${test#*:}" || {
            killer=${test%:*}
            return 0
        }
    done
    return 1
}

killed() {
    echo "$1" >>"$work/killed"
    [ -z "${VERBOSE:-}" ] || printf 'killed by %s: %s\n' "$killer" "$(grep "^$1|" "$work/wanted")"
}

survives() {
    echo "$1" >>"$work/alive"
    [ -z "${VERBOSE:-}" ] || printf 'alive: %s\n' "$(grep "^$1|" "$work/wanted")"
}

kill_running() {
    plan >"$work/plan"
    while read -r number tests <&3; do
        # Several words.
        # shellcheck disable=SC2086
        if is_killed "$number" $tests; then killed "$number"; else survives "$number"; fi
    done 3<"$work/plan"
}

# What is left is tried as run.sh has it, with AddressSanitizer and UBSan: an access out of bounds need not show.
kill_sanitized() {
    write_all
    cp "$work/alive" "$work/maybe"
    : >"$work/alive"
    for name in $(echo "$room dialogues policy connect session" | tr ' ' '\n' | awk '!seen[$0]++'); do
        [ ! -f "$tree/tests/test_$name.c" ] || sanitized "$name" && echo "$name:60000"
    done >"$work/sanitized"
    while read -r number <&3; do
        # Several words.
        # shellcheck disable=SC2046
        if is_killed "$number" $(cat "$work/sanitized"); then killed "$number"; else survives "$number"; fi
    done 3<"$work/maybe"
    kill_compiled_sanitized
}

# Of those that had to be compiled: the program of the room alone.
kill_compiled_sanitized() {
    cp "$work/alive" "$work/maybe"
    : >"$work/alive"
    while read -r number <&3; do
        killer=$room
        if grep -q "^$number|run|" "$work/wanted" || [ ! -f "$tree/tests/test_$room.c" ]; then
            echo "$number" >>"$work/alive"
            continue
        fi
        mutate one "$number" >"$tree/imapconnect.h"
        if sanitized "$room" && run "$room" 0 60000; then survives "$number"; else killed "$number"; fi
    done 3<"$work/maybe"
}

sanitized() {
    # shellcheck disable=SC2086
    (cd "$tree" && gcc $options -O0 -fsanitize=address,undefined -fno-sanitize-recover=all "tests/test_$1.c" \
        -o "$work/$1.bin" -lcmocka -lwolfssl) >"$work/out" 2>&1
}

# Those of tables and macros: each is compiled, without optimizing.
kill_compiled() {
    grep '^[0-9]*|compile|' "$work/wanted" | cut -d '|' -f 1 >"$work/plan"
    while read -r number <&3; do
        mutate one "$number" >"$tree/imapconnect.h"
        compiles || {
            echo "$number" >>"$work/dropped"
            continue
        }
        if is_killed_compiled "$number"; then killed "$number"; else survives "$number"; fi
    done 3<"$work/plan"
}

is_killed_compiled() {
    tried=0
    for name in $programs; do
        tried=$((tried + 1))
        [ $tried -le 2 ] || ! grep -qx "$1" "$work/listed" || return 1
        killer=$name
        compile "$name" -O0 || return 0
        run "$name" 0 $((2 * $(sed -n "s/^$name //p" "$work/limits") + 200)) || return 0
    done
    return 1
}

# object FILE: the code that the compiler makes of the header in the tree.
object() {
    # shellcheck disable=SC2086
    clang $options -O1 -c "$tree/tests/hygiene/implement.c" -o "$1" 2>"$work/errors"
}

# The same code: no test can tell.
drop_same() {
    cp "$work/imapconnect.h" "$tree"
    object "$work/normal.o"
    sort -n "$work/alive" >"$work/maybe"
    : >"$work/alive"
    while read -r number <&3; do
        mutate one "$number" >"$tree/imapconnect.h"
        object "$work/mutant.o"
        if cmp -s "$work/normal.o" "$work/mutant.o"; then
            echo "$number" >>"$work/same"
        else
            echo "$number" >>"$work/alive"
        fi
    done 3<"$work/maybe"
}

# With -s: tls.sh, for what is known to nobody.
kill_by_tls() {
    cp "$work/alive" "$work/maybe"
    : >"$work/alive"
    while read -r number <&3; do
        killer=tls.sh
        mutate one "$number" >"$tree/imapconnect.h"
        if (cd "$tree" && BUILD_DIR=$tree/build timeout -k 5 300 sh tests/tls.sh) >"$work/out" 2>&1; then
            survives "$number"
        else
            killed "$number"
        fi
    done 3<"$work/maybe"
}

# ---- mutants.txt ----

# mutants.txt: "[ROOM]" before its lines, "FUNCTION: BEFORE ~> AFTER  -- why that makes no difference". Of the numbers in
# the file $1 those that stand there; $work/stale are the lines that stand there for none of these.
listed() {
    awk -v room="$room" -v numbers="$1" -v list="$work/list" -v stale="$work/stale" '
        BEGIN {
            printf "" >stale
            while ((getline line <numbers) > 0) is_asked[line] = 1
            while ((getline line <list) > 0) {
                number = line
                sub(/[|].*/, "", number)
                if (!(number in is_asked)) continue
                sub(/^[0-9]*[|][a-z]*[|]/, "", line)
                sub(/[|]/, ": ", line)
                found[line] = found[line] number "\n"
            }
        }
        /^\[/ { here = $0 == "[" room "]"; next }
        !here || /^#/ || /^$/ { next }
        {
            key = $0
            sub(/  -- .*/, "", key)
            if (key in found) printf "%s", found[key]
            else print >stale
        }' tests/mutants.txt
}

# Takes the known ones from the survivors.
drop_known() {
    cp "$work/alive" "$work/maybe"
    listed "$work/maybe" >"$work/known"
    [ -z "$partly" ] || : >"$work/stale"
    grep -vxF -f "$work/known" "$work/maybe" >"$work/alive"
}

# ---- one room ----

lines() {
    grep -c . "$1"
}

report() {
    while read -r number; do
        sed -n "s/^$number|[a-z]*|\([^|]*\)|/survived: $number \1: /p" "$work/list"
    done <"$work/alive"
    dead=$(lines "$work/killed") alive=$(lines "$work/alive")
    echo "$room: $((dead + alive)) mutants, $dead killed, $alive survived$(share);" \
        "no difference: $(lines "$work/same") the same code, $(lines "$work/known") listed;" \
        "$(sort -u "$work/dropped" | grep -c .) do not compile"
    passed=$((passed + dead))
    if [ $((100 * dead)) -ge $((floor * (dead + alive))) ]; then
        ok "$room: at least $floor % are killed"
    else
        not_ok "$room: at least $floor % are killed" "$dead of $((dead + alive))"
    fi
    [ ! -s "$work/stale" ] || not_ok "mutants.txt [$room]" "no mutant needs these lines" "$work/stale"
}

share() {
    [ $((dead + alive)) -eq 0 ] || awk "BEGIN { printf \", %.1f %%\", 100 * $dead / ($dead + $alive) }"
}

mutate_room() {
    programs=$(programs_of "$room")
    for file in dropped killed alive same known; do : >"$work/$file"; done
    cut -d '|' -f 1 "$work/wanted" >"$work/numbers"
    listed "$work/numbers" >"$work/listed"
    write_all && build_all || return
    kill_running
    kill_compiled
    drop_known
    drop_same
    [ ! -s "$work/alive" ] || kill_sanitized
    case $slow$room in
    -ssockets | -sx509 | -swolfssl | -ssession | -sconnect) kill_by_tls ;;
    esac
    report
}

# The mutants that this run is about, by the PATTERN and by `-n`.
choose() {
    grep -e "$pattern" "$work/list" | awk -v every="$every" 'NR % every == 0'
}

one_room() {
    mutate list >"$work/list"
    [ -s "$work/list" ] || {
        echo "mutate.sh: there is no room $room, or nothing in it" >&2
        exit 2
    }
    case $action in
    list) grep -e "$pattern" "$work/list" ;;
    difference) mutate one "$pattern" | diff -U 2 "$work/imapconnect.h" - ;;
    run)
        choose >"$work/wanted"
        mutate_room
        ;;
    esac
}

# Several rooms: each by a run of its own, in the copy that does not change, two at a time.
all_rooms() {
    cp imapconnect.h "$tree"
    # shellcheck disable=SC2016
    echo "$rooms" | tr , '\n' | (cd "$tree" && BUILD_DIR=$work xargs -P 2 -I ROOM sh -c \
        'sh tests/mutate.sh $2 -n $3 ROOM "$1" >"$0/ROOM.out" 2>&1' "$work" "$pattern" "$slow" "$every") || true
    for room in $(echo "$rooms" | tr , ' '); do
        # shellcheck disable=SC2046
        set -- $(tail -n 1 "$work/$room.out" | sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p')
        passed=$((passed + ${1:-0})) failed=$((failed + ${2:-1}))
        grep -v '^[0-9]* passed, [0-9]* failed$' "$work/$room.out"
    done
}

prepare
case $action$rooms in
run*,*) all_rooms ;;
*)
    for room in $(echo "$rooms" | tr , ' '); do one_room; done
    ;;
esac
[ $action != run ] || sum_up
