#!/bin/sh
# measure.sh: what one plain session costs, measured here and now against a Dovecot of its own (needs valgrind and strace).
# Run from the top of the checkout. What the code costs says size.sh.
#
# CC and CFLAGS may be set; BUILD_DIR is where its files go.
set -eu
: "${CC:=gcc}" "${CFLAGS:=}" "${BUILD_DIR:=build}"
out=$BUILD_DIR/measure.$$
mkdir -p "$out"
trap 'rm -rf "$out"' EXIT
base="-std=c99 -D_POSIX_C_SOURCE=200809L -I. $CFLAGS"

cat > "$out/session.c" <<'END'
#define IMAPCONNECT_IMPLEMENTATION
#include "imapconnect.h"
#include <stdlib.h>
int main(int count, char **arguments)
{
    int sessions = count > 3 ? atoi(arguments[3]) : 0;
    imapconnect_session imap;
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
