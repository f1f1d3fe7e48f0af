#!/bin/sh
# mutate.sh: would the tests notice if imapconnect.h were wrong?
#
#   mutate.sh ROOM [COUNT [SEED]]    breaks one thing in ROOM, runs the tests, and again, COUNT times (40). SEED (1)
#                                    chooses which; the same numbers choose the same. ROOM `all`: in every room, or
#                                    several with commas between them
#   mutate.sh -l ROOM                lists all that can be broken there
#   mutate.sh -s ROOM [COUNT [SEED]] the same, but what survives is tried against the slow tests, too
#
# Broken is one operator, number, condition or returned value in the functions of a room of Part III, or a statement is
# left out. What does not compile does not count. The program of the room comes first, then all dialogues in their
# simplest form, then the other programs; with -s also the dialogues in all forms, everything once more with
# AddressSanitizer and UBSan, and tls.sh where the room is about connections. The first red ends it: that one is killed.
#
# One that survives is shown with what was changed. Those in mutants.txt make no difference, with the reason; they do
# not count; nor does one that the compiler turns into the same code. The last line is `N passed, N failed`: killed, and
# survived. A mutant takes a second or two, a survivor ten.
#
# Debian: clang, libwolfssl-dev, libcmocka-dev; for -s also openssl and libclang-rt-14-dev.
set -u

cd "$(dirname "$0")/.." || exit 1
LC_ALL=C
export LC_ALL
# Before BUILD_DIR changes: the mutants get one of their own.
BUILD_DIR=${BUILD_DIR:-$PWD/build}
mkdir -p "$BUILD_DIR" && BUILD_DIR=$(cd "$BUILD_DIR" && pwd) && work=$(mktemp -d "$BUILD_DIR/mutate.XXXXXX") || exit 1
chmod 755 "$work"
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# shellcheck source=tests/check.sh
. tests/check.sh
action=run slow=
case ${1:-} in
-l) action=list && shift ;;
-s) slow=1 && shift ;;
esac
room=${1:-} wanted=${2:-40} seed=${3:-1}
[ -n "$room" ] || {
    sed -n '2,/^set -u/s/^# \{0,1\}//p' "$0" >&2
    exit 2
}

# All of this run is about one header, even if somebody changes it meanwhile.
cp imapconnect.h "$work" || exit 1

# ---- what can be broken ----

# Prints "LINE COLUMN LENGTH|KIND|REPLACEMENT" for each thing in the functions of a room. It looks at a copy of the
# line in which comments, strings and characters are blank; clang-format sees to it that an operator has spaces around
# it, and that the brace of a function stands alone.
sites() {
    awk -v wanted="$1" '
        # The same text with "x" in place of what must not be looked at.
        function masked(text,   out, i, c, quote) {
            out = ""
            quote = ""
            for (i = 1; i <= length(text); i++) {
                c = substr(text, i, 1)
                if (comment) {
                    if (substr(text, i, 2) == "*/") { comment = 0; out = out "x"; i++ }
                    out = out "x"
                } else if (quote != "") {
                    if (c == "\\") { out = out "x"; i++ }
                    else if (c == quote) quote = ""
                    out = out "x"
                } else if (substr(text, i, 2) == "/*") {
                    comment = 1
                    out = out "xx"
                    i++
                } else if (c == "\"" || c == "\047") {
                    quote = c
                    out = out "x"
                } else out = out c
            }
            sub(/ *x+$/, "", out)
            return out
        }
        function site(column, count, kind, by) { print FNR " " column " " count "|" kind "|" by }
        # Every place where `what` stands.
        function each(what, kind, by,   from, at) {
            from = 1
            while ((at = index(substr(code, from), what)) > 0) {
                site(from + at - 1, length(what), kind, by)
                from += at + length(what) - 2
            }
        }
        function operators() {
            each(" == ", "operator", " != ");  each(" != ", "operator", " == ")
            each(" < ", "operator", " <= ");   each(" <= ", "operator", " < ")
            each(" > ", "operator", " >= ");   each(" >= ", "operator", " > ")
            each(" && ", "operator", " || ");  each(" || ", "operator", " && ")
            each(" + ", "operator", " - ");    each(" - ", "operator", " + ")
            each(" * ", "operator", " + ");    each(" / ", "operator", " * ");  each(" % ", "operator", " / ")
            each(" & ", "operator", " | ");    each(" | ", "operator", " & ");  each(" ^ ", "operator", " | ")
            each(" << ", "operator", " >> ");  each(" >> ", "operator", " << ")
            each(" += ", "operator", " -= ");  each(" -= ", "operator", " += ")
            each(" |= ", "operator", " = ");   each(" &= ", "operator", " |= ")
            each("++", "operator", "--");      each("--", "operator", "++")
            if (code ~ / &&$/) site(length(code) - 1, 2, "operator", "||")
            if (code ~ / \|\|$/) site(length(code) - 1, 2, "operator", "&&")
        }
        function negations(   i) {
            for (i = 1; i < length(code); i++)
                if (substr(code, i, 1) == "!" && substr(code, i + 1, 1) != "=") site(i, 1, "operator", "")
        }
        # A 1 that is stored means yes, and so does every other number but 0.
        function is_flag(at) { return substr(code, at - 2) == "= 1;" }
        # Numbers that are not part of a name.
        function numbers(   from, before, text) {
            from = 1
            while (match(substr(code, from), /[A-Za-z0-9_]+/) > 0) {
                text = substr(code, from + RSTART - 1, RLENGTH)
                if (text ~ /^[0-9]/) {
                    if (text ~ /^0u?$/) site(from + RSTART - 1, RLENGTH, "number", "1")
                    else if (!is_flag(from + RSTART - 1))
                        site(from + RSTART - 1, RLENGTH, "number", "(" text " + 1)")
                    if (text !~ /^0u?$/) site(from + RSTART - 1, RLENGTH, "number", "(" text " - 1)")
                }
                from += RSTART + RLENGTH - 1
            }
        }
        # Where the parenthesis that opens at `at` is closed; 0 in another line.
        function closed(at,   depth, c) {
            for (depth = 0; at <= length(code); at++) {
                c = substr(code, at, 1)
                if (c == "(") depth++
                if (c == ")" && --depth == 0) return at
            }
            return 0
        }
        # The whole condition of an if, of a while, and in front of a question mark.
        function conditions(   at, end) {
            if (!match(code, /(if|while) \(/)) return
            at = RSTART + RLENGTH - 1
            end = closed(at)
            if (end > 0) site(at, end - at + 1, "condition", "(!" substr($0, at, end - at + 1) ")")
        }
        function is_whole(   i, depth, c) {
            for (i = 1; i <= length(code); i++) {
                c = substr(code, i, 1)
                depth += (c == "(" || c == "{") - (c == ")" || c == "}")
            }
            return depth == 0 && code ~ /;$/ && before ~ /([;{})]|else|:|^do)$/
        }
        function statements(   text, at) {
            text = code
            sub(/^ */, "", text)
            at = length(code) - length(text) + 1
            if (!is_whole()) return
            if (text ~ /^return .*;$/) {
                if (text !~ /^return [0-9]+;$/) site(at, length(text), "returned", "return 0;")
            } else if (text ~ /^(return|break|continue);$/ ||
                       (text !~ /^\(void\)/ && text !~ /^[A-Za-z_][A-Za-z0-9_]*( \**[A-Za-z_(]|;)/)) {
                site(at, length(text), "left out", ";")
            }
        }
        function is_declaration() {
            return code ~ /^ *[A-Za-z_][A-Za-z0-9_]*( [A-Za-z_][A-Za-z0-9_]*)* \**[a-z_0-9]+[^=(]*;$/ &&
                code !~ /^ *return /
        }
        /^\/\* >>[a-z0-9]+ ---/ { room = substr($2, 3) }
        /^#/ { macro = 1 }
        {
            code = masked($0)
            if (inside && !macro && code !~ /^ *$/) {
                if (!is_declaration()) {
                    operators()
                    negations()
                    numbers()
                    conditions()
                    statements()
                }
                before = code
            }
            if ($0 == "{") { inside = room == wanted; before = "{" }
            if ($0 == "}") inside = 0
            if (macro && $0 !~ /\\$/) macro = 0
        }' "$work/imapconnect.h"
}

# The same in an order that SEED chooses: each line gets a number of its own in front.
shuffled() {
    sites "$1" | awk -v state="$seed" '
        BEGIN { for (i = 0; i < 10; i++) state = (state + 7919) * 16807 % 2147483647 }
        { state = state * 16807 % 2147483647; printf "%010d %s\n", state, $0 }' | sort | sed 's/^[0-9]* //'
}

# The header with one thing broken, from a line of `sites`.
mutant() {
    awk -v site="$1" '
        BEGIN {
            split(site, part, "|")
            split(part[1], at, " ")
            by = site
            sub(/^[^|]*[|][^|]*[|]/, "", by)
        }
        FNR == at[1] { $0 = substr($0, 1, at[2] - 1) by substr($0, at[2] + at[3]) }
        { print }' "$work/imapconnect.h"
}

# ---- the tests ----

# A copy of the tests beside the mutant.
prepare() {
    mkdir -p "$work/tree/build" "$work/tree/quick"
    cp -R tests certs examples README.md build.sh "$work/tree"
    cp "$work/imapconnect.h" "$work/tree"
    sed '/^    replay_\(chunks\|splits\|faults\)(&t, file);$/d' tests/test_transcripts.c \
        >"$work/tree/quick/test_transcripts.c"
}

# run_test HOW FILE LIMIT: compiles and runs it in the copy, `fast` or as run.sh does it, `slow`. The result is its last
# line, or why there is none. tls.sh is run as it is.
run_test() {
    how=$1 file=$2 limit=$3
    options='-std=c99 -D_POSIX_C_SOURCE=200809L -w -iquote tests'
    case $how in
    fast) compile="clang -O0" ;;
    slow) compile="gcc -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all" ;;
    esac
    result='does not compile' program=$work/program
    # Several words.
    # shellcheck disable=SC2086
    case $file in
    *.c) (cd "$work/tree" && $compile $options "$file" -o "$program" -lcmocka -lwolfssl) >"$work/out" 2>&1 ||
        return 0 ;;
    *) program="sh $file" ;;
    esac
    # shellcheck disable=SC2086
    (cd "$work/tree" && ASAN_OPTIONS=handle_segv=2:abort_on_error=1 BUILD_DIR=$work/tree/build \
        timeout -k 1 "$limit" $program) <"/dev/null" >"$work/out" 2>&1
    status=$?
    result=$(grep '^[0-9]* passed, [0-9]* failed$' "$work/out" | tail -n 1)
    [ -n "$result" ] || result="no last line, status $status"
    # Leaks are reported behind the last line.
    [ $status -eq 0 ] || [ "$result" = "${result% 0 failed}" ] || result="$result, status $status"
}

# The tests, in this order: the program of the room, the dialogues in their simplest form, the other programs.
tests_of() {
    [ ! -f "tests/test_$1.c" ] || echo "fast tests/test_$1.c"
    echo fast quick/test_transcripts.c
    other_programs "$1" fast
}

# What is left for those that survive these, with -s.
slow_tests_of() {
    [ ! -f "tests/test_$1.c" ] || echo "slow tests/test_$1.c"
    echo slow quick/test_transcripts.c
    other_programs "$1" slow
    echo fast tests/test_transcripts.c
    case $1 in
    sockets | x509 | wolfssl | session | connect) echo slow tests/tls.sh ;;
    esac
}

# other_programs ROOM HOW
other_programs() {
    for file in tests/test_*.c; do
        case $file in
        tests/test_"$1".c | tests/test_transcripts.c) ;;
        *) echo "$2 $file" ;;
        esac
    done
}

# What the tests of a room say of the header as it is, and how long they take; known from another room, perhaps. One
# that is red already can still notice something.
measure() {
    cp "$work/imapconnect.h" "$work/tree"
    touch "$work/normal"
    tests_of "$1" >"$work/tests"
    { [ -z "$slow" ] || slow_tests_of "$1"; } >"$work/slow_tests"
    cat "$work/tests" "$work/slow_tests" >"$work/all_tests"
    while read -r how file; do
        ! grep -q "^$how $file " "$work/normal" || continue
        started=$(date +%s)
        run_test "$how" "$file" 600
        case $result in
        *' passed, 0 failed') ;;
        *) echo "note: $how $file, unchanged: $result" ;;
        esac
        echo "$how $file $(($(date +%s) - started)) $result" >>"$work/normal"
    done <"$work/all_tests"
}

# notices HOW FILE: is the result another one than without the change? It may take three times as long.
notices() {
    normal=$(sed -n "s,^$1 $2 ,,p" "$work/normal")
    [ "$normal" = "${normal% does not compile}" ] || return 1
    run_test "$1" "$2" $((${normal%% *} * 3 + 10))
    [ "$result" != "${normal#* }" ]
}

# object FILE OPTION: the code that the compiler makes of the header in the copy.
object() {
    clang -std=c99 -D_POSIX_C_SOURCE=200809L -w "$2" -c "$work/tree/tests/hygiene/implement.c" -o "$1" 2>/dev/null
}

# is_killed_by FILE: does one of the tests in FILE notice? $killer says which.
is_killed_by() {
    while read -r how file <&4; do
        killer="$how $file"
        ! notices "$how" "$file" || return 0
    done 4<"$1"
    return 1
}

# Returns 0 when it is killed; 1 when not; 2 when it does not compile; 3 when it makes no difference.
try() {
    mutant "$1" >"$work/tree/imapconnect.h"
    object "$work/mutant.o" -O0 || return 2
    ! is_killed_by "$work/tests" || return 0
    object "$work/mutant.o" -O2
    ! cmp -s "$work/normal.o" "$work/mutant.o" || return 3
    ! is_known "$1" || return 3
    is_killed_by "$work/slow_tests"
}

# ---- reporting ----

# Prints "imapconnect.h:LINE: KIND" and the line before and after.
describe() {
    number=${1%% *} kind=${1#*|}
    printf 'imapconnect.h:%s: %s\n' "$number" "${kind%%|*}"
    sed -n "$number s/^ */    - /p" "$work/imapconnect.h"
    sed -n "$number s/^ */    + /p" "$work/tree/imapconnect.h"
}

# mutants.txt: THE LINE ~> THE LINE AS IT WAS CHANGED ~> why that makes no difference
is_known() {
    [ -f tests/mutants.txt ] || return 1
    describe "$1" | sed -n 's/^    [-+] //p' | awk '
        FNR == 1 && NR == 1 { while ((getline line < "tests/mutants.txt") > 0) all = all "\n" line }
        { text = text (NR > 1 ? " ~> " : "") $0 }
        END { exit index(all, "\n" text " ~> ") == 0 }'
}

# mutate ROOM
mutate() {
    killed=0 survived=0 known=0
    shuffled "$1" >"$work/sites"
    measure "$1"
    object "$work/normal.o" -O2
    while [ $((killed + survived)) -lt "$wanted" ] && IFS= read -r site <&3; do
        try "$site" "$1"
        case $? in
        0)
            killed=$((killed + 1))
            [ -z "${VERBOSE:-}" ] || { describe "$site" && echo "    killed by $killer: $result"; }
            ;;
        1)
            survived=$((survived + 1))
            describe "$site"
            ;;
        3) known=$((known + 1)) ;;
        esac
    done 3<"$work/sites"
    echo "$1: $killed killed, $survived survived$(share), $known make no difference; $(grep -c . "$work/sites") places"
    passed=$((passed + killed)) failed=$((failed + survived))
}

share() {
    [ $((killed + survived)) -eq 0 ] || echo ", $((100 * killed / (killed + survived))) %"
}

rooms() {
    sed -n 's,^/\* >>\([a-z0-9]*\) ---.*,\1,p' "$work/imapconnect.h"
}

[ "$room" != all ] || room=$(rooms | tr '\n' ,)
for name in $(echo "$room" | tr , ' '); do
    rooms | grep -qx "$name" || {
        echo "mutate.sh: there is no room $name; there are: $(rooms | tr '\n' ' ')" >&2
        exit 2
    }
done
if [ $action = list ]; then
    for name in $(echo "$room" | tr , ' '); do
        sites "$name" | sort -n -k 1,1 -k 2,2
    done
    exit 0
fi
command -v clang >/dev/null || {
    ok "mutate # skipped: clang is missing"
    sum_up
    exit
}
prepare
for name in $(echo "$room" | tr , ' '); do
    mutate "$name"
done
sum_up
