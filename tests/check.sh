# shellcheck shell=sh
# check.sh: read with `.` by the scripts here that count. A check is one line, `ok NAME` or `not ok NAME - why`; sum_up
# prints the last line, and its status is that of the script.

# The level at which everything compiles, with gcc and with clang.
# shellcheck disable=SC2034
warnings='-Wall -Wextra -pedantic -Wconversion -Wshadow -Wundef -Wcast-qual -Werror'

passed=0 failed=0

ok() {
    passed=$((passed + 1))
    printf 'ok %s\n' "$1"
}

# not_ok NAME WHY [FILE]: of FILE, what the command printed, the beginning is shown.
not_ok() {
    failed=$((failed + 1))
    printf 'not ok %s - %s\n' "$1" "$2"
    [ ! -s "${3:-}" ] || head -n 20 "$3"
}

# check NAME COMMAND...: the command must succeed; what it prints is in $work, a folder of the script's.
check() {
    what=$1
    shift
    # shellcheck disable=SC2154
    if "$@" >"$work/out" 2>&1; then
        ok "$what"
    else
        not_ok "$what" "$*" "$work/out"
    fi
}

# empty NAME TEXT: there must be none.
empty() {
    if [ -z "$2" ]; then
        ok "$1"
    else
        not_ok "$1" "$(echo "$2" | tr '\n' ' ')"
    fi
}

# all_end PID...: waits for what was begun with &, and fails when one of them did.
all_end() {
    all_ended=0
    for ending; do
        wait "$ending" || all_ended=1
    done
    return $all_ended
}

# writable_in OBJECT: variables that can be written, and sections that hold any.
writable_in() {
    size -A "$1" | awk '/^\.(data|bss|tdata|tbss)/ && $2 > 0 {print $1, $2}'
    nm "$1" | awk '$2 ~ /^[bBdDCsSgG]$/ {print $3}'
}

# recursive_in CALLS: functions that call themselves, in any number of steps, of what gcc's -fcallgraph-info has written.
# Calls through pointers are not seen.
recursive_in() {
    sed -n 's/^edge: { sourcename: "\([^"]*\)" targetname: "\([^"]*\)".*/\1 \2/p' "$1" >"$1.pairs"
    awk '$1 == $2 { print $1 }' "$1.pairs"
    { tsort "$1.pairs" >/dev/null; } 2>&1
}

# until_true COMMAND...: waits for it to succeed, for 10 s at most.
until_true() {
    tries=0
    until "$@"; do
        tries=$((tries + 1))
        [ $tries -lt 500 ] || return 1
        sleep 0.02
    done
}

sum_up() {
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
}
