#!/bin/sh
# check_all.sh: the whole ladder, from seconds to an hour. `./build.sh check` calls it, once all is installed.
#
#   check_all.sh              every step, in order; a red one does not end it
#   check_all.sh NAME ...     only these steps
#   check_all.sh -l           lists them
#
# Each step is announced with its command. Of what it prints, everything is shown but the checks that are good; then how
# long it took. A step counts as many checks as its last line says, `N passed, N failed`, and one without such a line
# counts as one, by its status. The last line is the sum.
set -u

cd "$(dirname "$0")/.." || exit 1
BUILD_DIR=${BUILD_DIR:-$PWD/build}
mkdir -p "$BUILD_DIR" && BUILD_DIR=$(cd "$BUILD_DIR" && pwd) && work=$(mktemp -d "$BUILD_DIR/check.XXXXXX") || exit 1
export BUILD_DIR
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# shellcheck source=tests/check.sh
. tests/check.sh

# -Wno-error: at -O3 gcc looks into the tests, and warns of what two of them do on purpose; hygiene.sh has the header.
# NAME | SECONDS it may take | COMMAND. A `?` in front of the name: skipped when the script is not there.
steps() {
    cat <<'END'
scripts | 300 | shellcheck build.sh .ci/* certs/*.sh tests/*.sh
test | 1800 | sh tests/run.sh
hygiene | 1800 | sh tests/hygiene.sh deep
readers | 1800 | sh tests/analyze.sh read
coverage | 3600 | sh tests/coverage.sh live
watchers | 3600 | sh tests/analyze.sh watch
gcc-O3 | 3600 | env TEST_LEVEL=-O3 TEST_SANITIZE=-Wno-error sh tests/run.sh programs
clang-O2 | 3600 | env TEST_CC=clang TEST_LEVEL=-O2 TEST_SANITIZE= sh tests/run.sh programs
variants | 3600 | sh tests/variants.sh
deep | 7200 | env DEEP=1 sh tests/run.sh test_transcripts.c test_torture.c
fuzz | 3600 | sh tests/fuzz.sh 180
guards | 3600 | sh tests/guards.sh
mutation | 7200 | sh tests/mutate.sh engine,wolfssl,commands,sasl,responses,lexer
END
}

names() { steps | sed 's/^? //; s/ |.*//'; }

# step NAME SECONDS COMMAND
step() {
    printf '\n==== %s: %s\n' "$1" "$3"
    began=$(date +%s) status=0
    timeout -k 30 "$2" sh -c "exec $3" >"$work/out" 2>&1 || status=$?
    grep -v '^ok \|^[0-9]* passed, [0-9]* failed$' "$work/out"
    grep '# skipped' "$work/out"
    # Both numbers, and nothing when there is no such line.
    numbers=$(tail -n 1 "$work/out" | sed -n 's/^\([0-9]\{1,9\}\) passed, \([0-9]\{1,9\}\) failed$/\1 \2/p')
    if [ -n "$numbers" ]; then
        good=${numbers% *} bad=${numbers#* }
        [ $status -eq 0 ] || [ "$bad" -ne 0 ] || bad=1
    else
        good=$((status == 0)) bad=$((status != 0))
    fi
    passed=$((passed + good)) failed=$((failed + bad))
    [ $status -lt 124 ] || echo "$1 ended with status $status"
    echo "---- $1: $good passed, $bad failed, $(($(date +%s) - began)) s"
}

# wanted NAME LIST...
wanted() {
    [ $# -gt 1 ] || return 0
    look=$1
    shift
    for one; do
        [ "$one" != "$look" ] || return 0
    done
    return 1
}

if [ "${1:-}" = -l ]; then
    steps
    exit
fi
for name; do
    names | grep -qx -e "$name" || {
        echo "check_all.sh: there is no step $name; there are: $(names | tr '\n' ' ')" >&2
        exit 2
    }
done
steps >"$work/steps"
while IFS='|' read -r name limit command <&3; do
    optional=
    case $name in '? '*) optional=1 ;; esac
    name=$(echo "${name#\? }" | tr -d ' ') limit=$(echo "$limit" | tr -d ' ')
    wanted "$name" "$@" || continue
    script=$(echo "$command" | tr ' ' '\n' | grep '^tests/.*\.sh$' | head -n 1)
    if [ -n "$optional" ] && [ ! -f "$script" ]; then
        printf '\n==== %s # skipped: %s is not there\n' "$name" "$script"
        continue
    fi
    step "$name" "$limit" "${command# }"
done 3<"$work/steps"
echo
sum_up
