#!/bin/sh
# figures.sh: are the sizes in README.md still those that measure.sh measures? They depend on the compiler, so this asks
# only where they were taken: gcc 12 on x86-64.
set -eu
cd "$(dirname "$0")/.."
# shellcheck source=tests/check.sh
. tests/check.sh
if [ "$(gcc -dumpversion)-$(uname -m)" != 12-x86_64 ]; then
    ok "figures # skipped: they were taken with gcc 12 on x86-64"
    sum_up
    exit 0
fi
# figure WHAT NUMBER...: the line of README.md that begins so has these numbers, with commas
figure() {
    line=$(grep -F "| $1" README.md || true)
    what=$1
    shift
    for number; do
        shown=$(echo "$number" | sed -e ':again' -e 's/\([0-9]\)\([0-9]\{3\}\)\($\|,\)/\1,\2\3/' -e 't again')
        case " $line " in
        *" $shown "*)
            ok "$what: $shown"
            ;;
        *)
            not_ok "$what" "it is $shown; README.md says: $line"
            ;;
        esac
    done
}

measured=$(sh tests/measure.sh)
# Prints columns $2 and following, after the title, of the line that begins with $1.
columns() { echo "$measured" | sed -n "s/^$1 *\([0-9]\)/\1/p"; }

# Each is several words.
# shellcheck disable=SC2046
{
    figure 'code, constants: with sockets and texts' $(columns everything | cut -d' ' -f1,2)
    figure 'code, constants: own transport, no texts' $(columns 'own transport, no texts' | cut -d' ' -f1,2)
    figure 'code, constants: connect and raw commands alone' $(columns 'own transport, no texts, no commands, no TLS options' | cut -d' ' -f1,2)
    figure 'the session, both buffers in it' $(columns 'sizeof(imapconnect_session), bytes')
    figure 'stack of its own, at most' $(columns 'stack of the header, bytes, along the deepest path')
}
sum_up && [ "$passed" -eq 8 ]
