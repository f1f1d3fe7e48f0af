#!/bin/sh
# measure.sh: the figures of README.md, measured here and now. Run from the top of the checkout:
#
#   sh tests/measure.sh            size, session, stack
#   sh tests/measure.sh session    and what one plain session costs, against a Dovecot of its own (valgrind, strace)
#
# CC and CFLAGS may be set; BUILD_DIR is where its files go.
set -eu
: "${CC:=gcc}" "${CFLAGS:=}" "${BUILD_DIR:=build}"
out=$BUILD_DIR/measure.$$
mkdir -p "$out"
trap 'rm -rf "$out"' EXIT
base="-std=c99 -D_POSIX_C_SOURCE=200809L -I. $CFLAGS"

# object NAME FLAG ...: the header alone, compiled with these switches
object() {
    name=$1
    shift
    # shellcheck disable=SC2086
    printf '#define IMAPCONNECT_IMPLEMENTATION\n#include "imapconnect.h"\n' |
        $CC $base -Os -fno-asynchronous-unwind-tables "$@" -x c -c - -o "$out/$name.o"
}

# sections NAME: "code constants data bss". Constants with addresses in them are relocated once and then read-only.
sections() {
    size -A "$out/$1.o" | awk '$1 ~ /^\.text/ { code += $2 } $1 ~ /^\.(rodata|data\.rel\.ro)/ { constants += $2 }
        $1 ~ /^\.data($|\.[^r])/ { data += $2 } $1 ~ /^\.bss/ { bss += $2 }
        END { print code + 0, constants + 0, data + 0, bss + 0 }'
}

report() { printf '%-58s %s\n' "$1" "$2"; }

object all
object own -DIMAPCONNECT_NO_SOCKETS -DIMAPCONNECT_NO_STRINGS
object connect -DIMAPCONNECT_NO_SOCKETS -DIMAPCONNECT_NO_STRINGS -DIMAPCONNECT_NO_COMMANDS
object plain -DIMAPCONNECT_NO_SOCKETS -DIMAPCONNECT_NO_STRINGS -DIMAPCONNECT_NO_TLS
report '' 'code constants data bss, bytes at -Os'
report 'everything' "$(sections all)"
report 'own transport, no texts' "$(sections own)"
report 'own transport, no texts, no commands' "$(sections connect)"
report 'own transport, no texts, no TLS' "$(sections plain)"

cat > "$out/session.c" <<'END'
#define IMAPCONNECT_IMPLEMENTATION
#include "imapconnect.h"
#include <stdio.h>
#include <stdlib.h>
int main(int count, char **arguments)
{
    int sessions = count > 3 ? atoi(arguments[3]) : 0;
    imapconnect_session imap;
    if (count < 4)
        return printf("%lu\n", (unsigned long)sizeof imap) < 0;
    (void)imapconnect_init(&imap, 0);
    for (; sessions > 0; sessions--)
        if (imapconnect(&imap, arguments[1], "joe", arguments[2], 0, 0, IMAPCONNECT_INSECURE, 0) < 0 ||
            imapconnect_noop(&imap, 0) != 0 || imapconnect_disconnect(&imap, 0) != 0)
            return 1;
    return 0;
}
END
# shellcheck disable=SC2086
$CC $base -O2 "$out/session.c" -o "$out/session" -lwolfssl
report 'sizeof(imapconnect_session), bytes' "$("$out/session")"

# The deepest path through the header's own functions, without those of wolfSSL, of libc and of the caller that stand
# between. A call through a pointer goes where the room of its caller lets it go: from the session to the transport, to
# the actions of the engine's table and to the rows of commands; from the engine and from the rooms below it to the
# latter alone; from the session's look at the time to the clock; from all others to the caller's own functions. wolfSSL calls back into the room >>wolfssl, and that the
# transport.
object stack -fstack-usage -fcallgraph-info=su
awk -F'"' -v command='^imc_(select|close|enable|list|status|namespace|messages|recv|store|move|search|idle)_(take|next|end|choose|flag|expunge)$' '
    function bytes(label, part, n) { n = split(label, part, /\\n/); return part[n] ~ /bytes/ ? part[n] + 0 : -1 }
    function plain(name) { sub(/.*:/, "", name); return name }
    /^node/ { if (bytes($4) >= 0) own[plain($2)] = bytes($4) }
    /^edge/ { calls[plain($2)] = calls[plain($2)] " " plain($4) }
    function targets(caller, callee, name, list) {
        if (callee in own) return callee
        if (callee ~ /^wolfSSL_(connect|read|write|shutdown)$/) return "imc_tls_verify imc_tls_receive imc_tls_send"
        if (callee != "__indirect_call") return ""
        if (caller == "imc_session_now") return "imc_sockets_clock"
        for (name in own)
            if ((name ~ /^imc_sockets_/ && caller ~ /^(imc_session_|imc_tls_|imapconnect)/) ||
                (name ~ /^imc_engine_/ && caller ~ /^(imc_session_|imc_engine_take|imc_engine_dispatch|imapconnect)/) ||
                (name ~ command && caller ~ /^(imc_session_|imc_engine_|imc_rows_|imc_responses_|imapconnect)/))
                list = list " " name
        return list
    }
    function deepest(name, callee, target, n, m, i, j, most, one, best) {
        if (name in memo) return memo[name]
        memo[name] = own[name]
        n = split(calls[name], callee, " ")
        for (i = 1; i <= n; i++) {
            m = split(targets(name, callee[i]), target, " ")
            for (j = 1; j <= m; j++) {
                one = deepest(target[j])
                if (one > most) { most = one; best = target[j] }
            }
        }
        via[name] = best
        return memo[name] = own[name] + most
    }
    END {
        for (name in own) if (name ~ /^imapconnect/ && deepest(name) > most) { most = deepest(name); first = name }
        for (name = first; name != ""; name = via[name]) path = path (path == "" ? "" : " > ") name
        printf "%-58s %d\n  %s\n", "stack of the header, bytes, along the deepest path", most, path
    }' "$out/stack.ci"

[ "${1:-}" = session ] || exit 0
sh tests/dovecot.sh start "$out/dovecot" > "$out/dovecot.log"
trap 'sh tests/dovecot.sh stop "$out/dovecot"; rm -rf "$out"' EXIT
# shellcheck disable=SC1091
. "$out/dovecot/env"
for sessions in 1 11; do
    LD_BIND_NOW=1 valgrind --tool=callgrind --callgrind-out-file=/dev/null "$out/session" "127.0.0.1:$IMAP_PORT" \
        "$PASSWORD" $sessions 2> "$out/callgrind" || { cat "$out/callgrind"; exit 1; }
    awk '/Collected/ { print $4 }' "$out/callgrind" > "$out/count.$sessions"
    strace -c -o "$out/calls" "$out/session" "127.0.0.1:$IMAP_PORT" "$PASSWORD" $sessions
    awk '$NF == "total" { print $(NF == 6 ? 4 : 3) }' "$out/calls" >> "$out/count.$sessions"
done
paste "$out/count.1" "$out/count.11" | awk '{ printf "%-58s %d\n",
    (NR == 1 ? "instructions" : "system calls") " of one plain session", ($2 - $1) / 10 }'
