#!/bin/sh
# size.sh: what the header costs on five processors, measured here and now. `./build.sh size` calls it.
#
#   size.sh                             the table; fails when a budget below is exceeded
#   size.sh PROCESSOR ...               only these: m0+ m3 m33 rv32imc x86-64
#   size.sh brief [PROCESSOR ...]       only what README.md says, in a fraction of the time
#   size.sh rooms [GROUP [PROCESSOR]]   bytes by room and by function (without more: everything, m3)
#   size.sh stack [GROUP [PROCESSOR]]   bytes of stack of each public function, with the deepest path
#
# GROUP is `connect` (connect, raw commands, NOOP, disconnect: IMAPCONNECT_NO_COMMANDS), `documented` (with the commands
# of the document; search, append and idle are left out), `commands` (all of them), or `everything`. The first three log
# in by the documented order, without config.tls: IMAPCONNECT_NO_SASL, IMAPCONNECT_NO_TLS_OPTIONS. All is compiled at -Os without texts and with
# a transport of one's own; texts and sockets are rows of their own. wolfSSL and libc are not counted, what the compiler
# calls in libgcc is. "linked" is what a linker with --gc-sections keeps in a program that calls the functions of the
# group and no others of the header; "object" is the whole object file, compiled without sections for it to choose from.
set -eu

cd "$(dirname "$0")/.."
BUILD_DIR=${BUILD_DIR:-$PWD/build}
mkdir -p "$BUILD_DIR"
work=$(mktemp -d "$BUILD_DIR/size.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# shellcheck source=tests/processors.sh
. tests/processors.sh

# ---- what is allowed ----

# What the header may cost today, in bytes. A limit is only ever lowered, towards the goal behind it. `connect` was 12544
# before there were config.auth and config.tls: who leaves them out pays nothing for them.
#      processor  what                limit   goal
budgets='m3       linked:connect      12544   8192
         m3       linked:commands     22000  16384
         m3       linked:everything   28100  28100
         m3       session              1536   1536
         rv32imc  session              1536   1536
         x86-64   session              2048   2048
         m3       stack                1024   1024
         rv32imc  stack                1024   1024
         x86-64   stack                1024   1024'

# ---- the groups of functions ----

connect='config_init_sized init_sized list_init list_next command noop disconnect close strerror'
documented='check select_mailbox list_messages recv_headers recv_message set_message_flags expunge_messages
    copy_message list_mailboxes list_subscribed_mailboxes create_mailbox delete_mailbox subscribe_mailbox
    unsubscribe_mailbox rename_mailbox'

lean='-DIMAPCONNECT_NO_SASL -DIMAPCONNECT_NO_TLS_OPTIONS'

# group NAME: sets `switches`, and `roots`: what a program with these functions calls.
group() {
    case $1 in
    connect) switches="-DIMAPCONNECT_NO_COMMANDS $lean" roots=$connect ;;
    documented)
        switches="-DIMAPCONNECT_NO_SEARCH -DIMAPCONNECT_NO_APPEND -DIMAPCONNECT_NO_IDLE $lean"
        roots="$connect $documented"
        ;;
    commands) switches=$lean roots=all ;;
    everything) switches='' roots=all ;;
    *)
        echo "size.sh: no such group: $1" >&2
        exit 2
        ;;
    esac
}

# ---- measuring ----

small='-Os -DIMAPCONNECT_NO_SOCKETS -DIMAPCONNECT_NO_STRINGS'
printf '#define IMAPCONNECT_IMPLEMENTATION\n#include "imapconnect.h"\n' >"$work/header.c"

# compile NAME OPTION...: $work/NAME.o, for the processor and the group that are set.
compile() {
    object=$1
    shift
    # shellcheck disable=SC2086
    "${prefix}gcc" $flags $small $switches "$@" -c "$work/header.c" -o "$work/$object.o"
}

# The same in pieces, for the linker to choose from; what each function has of the stack is told beside it.
compile_pieces() {
    compile "$@" -ffunction-sections -fdata-sections -fstack-usage -fcallgraph-info=su
}

# What a program that calls the roots keeps of NAME.o when the linker throws away the rest; libgcc's helpers are in it.
link() {
    [ "$roots" != all ] || roots=$("${prefix}nm" -g --defined-only "$work/$1.o" | sed 's/.* imapconnect//')
    undefined=
    for root in $roots; do
        undefined="$undefined -Wl,-u,imapconnect_${root#_}"
    done
    # shellcheck disable=SC2086
    "${prefix}gcc" $machine -static -nostdlib -Wl,--gc-sections -Wl,--unresolved-symbols=ignore-all -Wl,-e,imapconnect \
        $undefined "$work/$1.o" -lgcc -o "$work/$1.elf"
}

# sections FILE: "code constants data bss". Constants with addresses in them are relocated once and then read-only.
sections() {
    "${prefix}size" -A "$1" | awk '$1 ~ /^\.text/ { code += $2 } $1 ~ /^\.(rodata|data\.rel\.ro)/ { constants += $2 }
        $1 ~ /^\.s?data($|\.[^r])/ { data += $2 } $1 ~ /^\.s?bss/ { bss += $2 }
        END { print code + 0, constants + 0, data + 0, bss + 0 }'
}

# ---- the breakdown ----

# Every instruction of the linked program with the function that it was written in, wherever it was inlined to; and each
# constant. Lines "code|constant BYTES FUNCTION LINE".
pieces() {
    "${prefix}objdump" -d --no-show-raw-insn "$1" | awk '
        /^[0-9a-f]+ </ { sub(/:.*/, "", $2); print "symbol", $1; next }
        /^ *[0-9a-f]+:/ { sub(/:/, "", $1); print "at", $1 }' >"$work/at"
    awk '{ print $2 }' "$work/at" | "${prefix}addr2line" -f -e "$1" | paste - - | paste -d' ' "$work/at" - >"$work/lines"
    "${prefix}objdump" -h "$1" | awk '$2 ~ /^\.text/ { print "end", $4, $3 }' >"$work/end"
    awk -v end="$(awk '{ print $2, $3 }' "$work/end")" '
        function number(hex, i, n) {
            for (i = 1; i <= length(hex); i++) n = n * 16 + index("0123456789abcdef", substr(hex, i, 1)) - 1
            return n
        }
        function flush(next_at) { if (name != "") print "code", next_at - at, name, line }
        $1 == "at" { flush(number($2)); at = number($2); name = $3; line = $4; sub(/.*:/, "", line) }
        END { split(end, part, " "); flush(number(part[1]) + number(part[2])) }' "$work/lines"
    "${prefix}nm" -S -l "$1" | awk '
        function number(hex, i, n) {
            for (i = 1; i <= length(hex); i++) n = n * 16 + index("0123456789abcdef", substr(hex, i, 1)) - 1
            return n
        }
        $3 ~ /^[rRdD]$/ { line = $5; sub(/.*:/, "", line); print "constant", number($2), $4, line == "" ? 0 : line }'
}

# The room of each line of the header.
rooms() {
    grep -n '^/\* >>[a-z0-9]* -' imapconnect.h | sed 's/^\([0-9]*\):.*>>\([a-z0-9]*\).*/\1 \2/'
}

breakdown() {
    group "$1"
    processor "$2"
    compile_pieces all -g
    link all
    # shellcheck disable=SC2046
    set -- "$1" "$2" $(sections "$work/all.elf")
    echo "$1, $2: $3 bytes of code and $4 of constants, linked"
    pieces "$work/all.elf" >"$work/pieces"
    rooms | awk -v constants="$4" '
        FNR == NR { room[++rooms] = $2; from[rooms] = $1; next }
        function of(line, i) {
            for (i = rooms; i > 0 && line < from[i]; i--) continue
            return i > 0 ? room[i] : "(others)"
        }
        {
            where = of($4 + 0); name = $3; sub(/\.[0-9]+$/, "", name)
            bytes[$1, where] += $2; total[$1] += $2
            each[where " " name] += $2
        }
        END {
            printf "\n%8s %9s  room\n", "code", "constants"
            for (i = 0; i <= rooms; i++) {
                where = i == 0 ? "(others)" : room[i]
                if (bytes["code", where] + bytes["constant", where] > 0)
                    printf "%8d %9d  >>%s\n", bytes["code", where], bytes["constant", where], where
            }
            printf "%8s %9d  strings without a name, and padding\n", "", constants - total["constant"]
            printf "%8d %9d  all\n", total["code"], constants
            printf "\n%8s  function or constant, the code where it was inlined to included\n", "bytes"
            for (one in each) { split(one, part, " "); printf "%8d  %-34s >>%s\n", each[one], part[2], part[1] | "sort -rn" }
            close("sort -rn")
        }' - "$work/pieces"
    echo
    echo "   bytes  function as compiled, with what was inlined into it"
    "${prefix}nm" -S --size-sort -r -t d "$work/all.elf" | awk '$3 ~ /^[tT]$/ { printf "%8d  %s\n", $2, $4 }'
}

# stack NAME: of NAME.o, "BYTES FUNCTION > FUNCTION ...", the deepest first.
stack() {
    awk -f tests/size/stack.awk "$work/$1.ci" | sort -k1,1nr -k2
}

# ---- the table ----

# How many bytes an object with sizeof(imapconnect_session) as its own size has.
session_size() {
    printf '#include "imapconnect.h"\nchar measured[sizeof(imapconnect_session)];\n' >"$work/session.c"
    # shellcheck disable=SC2086
    "${prefix}gcc" $flags $small -c "$work/session.c" -o "$work/session.o"
    "${prefix}nm" -S -t d "$work/session.o" | awk '$4 == "measured" { print $2 + 0 }'
}

# row TITLE WHAT NUMBER...: in columns.
row() {
    printf '%-8s %-11s' "$1" "$2"
    shift 2
    printf ' %9s' "$@"
    echo
}

measured() {
    echo "$@" >>"$work/measured"
}

# group_row PROCESSOR GROUP: code and constants that a program links, writable data, stack; and the object's.
group_row() {
    group "$2"
    compile_pieces pieces
    link pieces
    deepest=$(stack pieces | awk 'NR == 1 { print $1 }')
    # shellcheck disable=SC2046
    set -- "$1" "$2" $(sections "$work/pieces.elf") $(sections "$work/pieces.o")
    measured "$1" "linked:$2" $(($3 + $4))
    measured "$1" "writable:$2" $(($9 + ${10}))
    measured "$1" stack "$deepest" # of the last group, which is everything
    set -- "$1" "$2" "$3" "$4" $(($3 + $4)) "$9" "${10}" "$deepest"
    if [ "$brief" = no ]; then
        compile plain
        # shellcheck disable=SC2046
        set -- "$@" $(sections "$work/plain.o" | awk '{ print $1, $2, $1 + $2 }')
    fi
    row "$@"
}

# extra PROCESSOR WHAT OPTION...: what the object of all the pieces has more, or less, when compiled with these, too.
extra() {
    name=$1 title=$2
    shift 2
    compile_pieces extra "$@"
    # shellcheck disable=SC2046
    set -- $(sections "$work/pieces.o") $(sections "$work/extra.o")
    row "$name" "$title" $(($5 - $1)) $(($6 - $2)) $(($5 + $6 - $1 - $2))
}

# Of everything, with what is left out above.
extras() {
    case $brief-$1 in
    no-* | yes-m3) extra "$1" '+ texts' -UIMAPCONNECT_NO_STRINGS ;;
    esac
    [ "$1" != x86-64 ] || extra "$1" '+ sockets' -UIMAPCONNECT_NO_SOCKETS -D_POSIX_C_SOURCE=200809L
    [ "$brief" = yes ] || extra "$1" '- TLS' -DIMAPCONNECT_NO_TLS
    [ "$brief" = yes ] || extra "$1" '- SCRAM' -DIMAPCONNECT_NO_SCRAM
    [ "$brief" = yes ] || extra "$1" '- SASL' -DIMAPCONNECT_NO_SASL
}

measure() {
    processor "$1"
    group_row "$1" connect
    [ "$brief" = yes ] || group_row "$1" documented
    group_row "$1" commands
    group_row "$1" everything
    extras "$1"
    session=$(session_size)
    row "$1" session '' '' "$session"
    measured "$1" session "$session"
}

# Every budget whose processor was measured; and nothing may be writable.
check_budgets() {
    echo "$budgets" | awk 'FNR == NR { bytes[$1 " " $2] = $3; seen[$1] = 1 }
        FNR == NR && $2 ~ /^writable/ && $3 > 0 { print $1, $2 ": " $3 " bytes"; over = 1 }
        FNR == NR || !($1 in seen) { next }
        {
            got = bytes[$1 " " $2]
            bad = got == "" || got > $3
            over += bad
            printf "%s %s %s: %d bytes, %d are allowed, the goal is %d\n", bad ? "not ok" : "ok", $1, $2, got, $3, $4
        }
        END { exit over > 0 }' "$work/measured" -
}

brief=no
case ${1:-} in
rooms)
    breakdown "${2:-everything}" "${3:-m3}"
    exit
    ;;
stack)
    group "${2:-everything}"
    processor "${3:-m3}"
    compile_pieces pieces
    stack pieces
    exit
    ;;
brief)
    brief=yes
    shift
    ;;
esac

# Several words.
# shellcheck disable=SC2086
[ $# -gt 0 ] || set -- $processors
row '' 'at -Os:' code constants linked .data .bss stack code constants object
for name; do
    measure "$name"
done
echo
check_budgets
