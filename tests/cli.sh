#!/bin/sh
# cli.sh: the sub-commands of the command line program, and the examples watch.c and fetch.c, against a real Dovecot, in
# TLS with verification. Where an honest server does not do what a test needs it is tests/live_server.c, in clear.
# live.sh has the rest of the program: connecting, logging in, raw COMMANDs, options.
#
# All programs are built with AddressSanitizer and UBSan. One line `ok NAME` or `not ok NAME - why` for each check; the
# last line is `N passed, N failed`.
# shellcheck disable=SC2153 # the names are those of dovecot.sh
set -u

cd "$(dirname "$0")/.." || exit 1
LC_ALL=C
export LC_ALL
BUILD_DIR=${BUILD_DIR:-build}
mkdir -p "$BUILD_DIR" && BUILD_DIR=$(cd "$BUILD_DIR" && pwd) || exit 1
work=$(mktemp -d "$BUILD_DIR/cli.XXXXXX") || exit 1
chmod 755 "$work"
unset IMAPCONNECT_USER IMAPCONNECT_PASSWORD
server_pid='' watch_pid='' reader_pid=''
tab=$(printf '\t')

finish() {
    for pid in $server_pid $watch_pid $reader_pid; do
        kill "$pid" 2>/dev/null
    done
    [ ! -d "$work/dovecot" ] || sh tests/dovecot.sh stop "$work/dovecot"
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 1' HUP INT TERM

# ---- checks ----

# shellcheck source=tests/check.sh
. tests/check.sh
name='' why=''

check() { name=$1 why=''; }
fails() { [ -n "$why" ] || why=$1; }

# Ends a check, and the scripted server that it may have had.
end() {
    [ -z "$server_pid" ] || {
        kill "$server_pid" 2>/dev/null
        server_ends
    }
    if [ -z "$why" ]; then
        ok "$name"
    else
        not_ok "$name" "$why"
        sed 's/^/    /' "$work/err" | head -n 30 | cut -c 1-300
    fi
}

# Runs a program without a terminal; what it wrote is in $work/out and $work/err, its status in $status.
run() {
    timeout 30 setsid -w "$@" <"$input" >"$work/out" 2>"$work/err"
    status=$?
    no_report
}
input=/dev/null

no_report() {
    ! grep -aq 'Sanitizer\|runtime error:' "$work/err" || fails 'a sanitizer complains'
}

# expect STATUS [NUMBER]: the exit status, and the number in the last line on standard error.
expect() {
    [ "$status" -eq "$1" ] || fails "exit status $status, not $1"
    [ $# -lt 2 ] || tail -n 1 "$work/err" | grep -Eq "^imapconnect: IMAPCONNECT_[A-Z0-9_]+ \(-$2\): [A-Za-z\`]" ||
        fails "the last line is not the one of -$2"
}

in_log() { grep -aq -e "$1" "$work/err" || fails "no '$1' in the log"; }
not_in_log() { ! grep -aq -e "$1" "$work/err" || fails "'$1' in the log"; }
in_out() { grep -aq -e "$1" "$work/out" || fails "no '$1' on standard output"; }
not_in_out() { ! grep -aq -e "$1" "$work/out" || fails "'$1' on standard output"; }
in_sent() { grep -aFq -e "$1" "$work/sent" || fails "'$1' was not sent"; }
not_in_sent() { ! grep -aFq -e "$1" "$work/sent" || fails "'$1' was sent"; }
no_output() { [ ! -s "$work/out" ] || fails 'something on standard output'; }

# same FILE: standard output is these bytes.
same() { cmp -s "$1" "$work/out" || fails 'standard output is not as expected'; }

# lines TEXT: standard output is these lines; \t and \n stand for a tab and a line end, \\ for a backslash.
lines() {
    printf '%b\n' "$1" >"$work/expected"
    same "$work/expected"
}

# The client's commands in the log, behind the login; UID is not one.
expect_commands() {
    commands=$(sed -n 's/^C: [^ ]* \(UID \)\{0,1\}\([A-Z][A-Z]*\).*/\2/p' "$work/err" | tr '\n' ' ')
    [ "$commands" = "AUTHENTICATE $1 LOGOUT " ] || fails "the commands were '$commands', not '$1'"
}

now() { date +%s%3N; }

# took FROM TO: so many milliseconds since $began.
took() {
    took=$(($(now) - began))
    [ $took -ge "$1" ] || fails "it took only $took ms"
    [ $took -le "$2" ] || fails "it took $took ms"
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

# A scripted server for one connection, on $port; see live_server.c. What it was sent is in $work/sent at its end.
server() {
    : >"$work/port"
    "$work/live_server" "$work/sent" "$@" >"$work/port" &
    server_pid=$!
    until_true test -s "$work/port"
    port=$(cat "$work/port")
}

server_ends() {
    wait "$server_pid" 2>/dev/null
    server_pid=
}

# ---- build ----

asan='-O0 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer'
ASAN_OPTIONS=exitcode=99:abort_on_error=0 UBSAN_OPTIONS=print_stacktrace=1
export ASAN_OPTIONS UBSAN_OPTIONS

# The programs and the server, all at a time.
build() {
    # shellcheck disable=SC2086
    gcc -std=c99 -D_POSIX_C_SOURCE=200809L -O2 $warnings tests/live_server.c -o "$work/live_server" &
    pids=$!
    sh tests/dovecot.sh start "$work/dovecot" &
    pids="$pids $!"
    for program in imapconnect watch fetch; do
        # shellcheck disable=SC2086
        gcc -std=c99 -D_POSIX_C_SOURCE=200809L $asan $warnings "examples/$program.c" -o "$work/$program" -lwolfssl &
        pids="$pids $!"
    done
    # shellcheck disable=SC2086
    all_end $pids
}

build || {
    not_ok build 'a program does not compile, or Dovecot does not start'
    sum_up
    exit 1
}
client=$work/imapconnect
# shellcheck disable=SC1091
. "$work/dovecot/env"

# imap WORD...: the client as joe, in TLS, verified by our CA; on the mailbox $mailbox if that is not empty.
mailbox=
imap() {
    run "$client" -u "$USER" -p "$PASSWORD" -C "$CAFILE" ${mailbox:+--mailbox "$mailbox"} -v "$HOST:$IMAPS_PORT" "$@"
}

# The stored message number N of dovecot.sh, as it must arrive.
stored() {
    case $1 in
    "$BIG_NUMBER") cat "$BIG_FILE" ;;
    *) sed "s/\$/$(printf '\r')/" "$STATE/mail/cur/170000000$1."* ;;
    esac
}

hello='* OK [CAPABILITY IMAP4rev1 IDLE] hello\r\n'
in_='%t OK [CAPABILITY IMAP4rev1 IDLE] in\r\n'
bye='* BYE bye\r\n'
out='%t OK out\r\n'

# ---- ls, and names ----

check 'ls'
imap ls
expect 0
expect_commands LIST
in_out "^INBOX$tab\\.$tab.*haschildren\|^INBOX$tab\\.$tab.*hasnochildren"
in_out "^Entwürfe$tab\\.$tab.*hasnochildren"
in_out "^with \"quote\"$tab\\.$tab.*hasnochildren"
[ "$(grep -ac "^[^$tab][^$tab]*$tab\\.${tab}[a-z ]*\$" "$work/out")" -eq "$(wc -l <"$work/out")" ] ||
    fails 'a line that has not three columns'
end

# Each name as a person writes it, and, made by hand, as it travels: RFC 3501 section 5.1.3, in quotes.
while IFS='|' read -r mailbox wire; do
    check "the name $mailbox"
    {
        printf 'Subject: a letter for %s\r\n\r\n' "$mailbox"
        cat "$BIG_FILE"
    } >"$work/letter"
    named=$mailbox mailbox=
    imap "CREATE $wire"
    expect 0
    imap ls
    cut -f 1 "$work/out" | grep -aFxq -e "$named" || fails 'it is not in the list'
    [ "$(cut -f 1 "$work/out" | grep -aFxc -e "$named")" -eq 1 ] || fails 'it is there more than once'
    imap ls "$named"
    [ "$(cut -f 1 "$work/out" | grep -aFxc -e "$named")" -eq 1 ] || fails 'as a pattern it does not find itself'
    mailbox=$named
    imap append "$work/letter"
    expect 0
    expect_commands APPEND
    lines 1
    imap select
    expect_commands EXAMINE
    in_out "^messages${tab}1\$"
    imap message 1
    expect_commands 'EXAMINE FETCH'
    same "$work/letter"
    mailbox=
    end
done <<'END'
with "two" quotes|"with \"two\" quotes"
back\slash|"back\\slash"
100%|"100%"
ampersand & co|"ampersand &- co"
Größe über alles|"Gr&APYA3w-e &APw-ber alles"
📬 Post|"&2D3c7A- Post"
"q" \b 5% é🎉|"\"q\" \\b 5% &AOnYPN+J-"
END

check 'ls: a pattern'
imap ls 'Entw*'
expect 0
[ "$(cut -f 1 "$work/out")" = Entwürfe ] || fails 'not the mailbox that fits'
imap ls 'Entwürf%'
[ "$(cut -f 1 "$work/out")" = Entwürfe ] || fails 'not the mailbox that fits, with an umlaut'
imap ls nothing
expect 0
no_output
end

check 'ls: an empty pattern gives the separator'
imap ls ''
expect 0
in_out "^$tab\\.$tab.*noselect"
end

check 'ls: what the server sends does not steer the terminal, nor break the columns'
server "$hello" '<' "$in_" '<' \
    '* LIST () "/" "&ABs-[2J&AAk-x"\r\n* LIST (\NoInferiors \Marked) "\\" "&IC4-gpj&AJsAfw-"\r\n' \
    '* LIST (\Noselect) NIL {5}\r\na"\b&\r\n* LIST (\HasChildren) "/" {4}\r\n\xc3\xbc\x1b\xff\r\n' \
    '* LIST () "/" "Entw&ouml"\r\n%t OK done\r\n' \
    '<' "$bye" "$out"
run "$client" -s 0 -u joe -p x "127.0.0.1:$port" ls
server_ends
expect 0
in_sent ' LIST "" "*"'
lines '\\x1B[2J\\x09x\t/\t-
\\xE2\\x80\\xAEgpj\\xC2\\x9B\\x7F\t\\\tnoinferiors marked
a"\\b&\tNIL\tnoselect raw
\\xC3\\xBC\\x1B\\xFF\t/\thaschildren raw
Entw&ouml\t/\traw'
end

check 'a name that is not UTF-8 is sent as it is, behind 0xFF'
server "$hello" '<' "$in_" '<' '%t OK done\r\n' '<' "$bye" "$out"
run "$client" -s 0 -u joe -p x -m "$(printf '\377Entw&ouml')" "127.0.0.1:$port" select
server_ends
expect 0
in_sent ' EXAMINE "Entw&ouml"'
end

# ---- select, list ----

# The numbers are those of the example in RFC 3501 section 6.3.2.
check 'select: the numbers'
server "$hello" '<' "$in_" '<' \
    '* 17 EXISTS\r\n* 2 RECENT\r\n* OK [UNSEEN 8] x\r\n* OK [UIDVALIDITY 3857529045] x\r\n* OK [UIDNEXT 4392] x\r\n' \
    '* FLAGS (\Answered \Flagged \Deleted \Seen \Draft)\r\n* OK [PERMANENTFLAGS ()] x\r\n%t OK [READ-ONLY] done\r\n' \
    '<' "$bye" "$out"
run "$client" -s 0 -u joe -p x "127.0.0.1:$port" select
server_ends
expect 0
in_sent ' EXAMINE "INBOX"'
lines 'messages\t17\nrecent\t2\nfirst-unseen\t8\nuidnext\t4392\nuidvalidity\t3857529045
flags\tanswered deleted draft flagged seen'
end

check 'select'
imap select
expect 0
expect_commands EXAMINE
in_out "^messages$tab$MESSAGES\$"
in_out "^first-unseen${tab}3\$"
in_out "^uidnext$tab$((MESSAGES + 1))\$"
end

check 'select: a CA that did not make the certificate'
run "$client" -v -u "$USER" -p "$PASSWORD" -C "$CERTS/ca-other.pem" "$HOST:$IMAPS_PORT" select
expect 1 1410
not_in_log '^C:'
no_output
end

check 'select: there is no such mailbox'
mailbox=nowhere
imap select
expect 1 1277
in_log "^imapconnect: the server said: NO .*doesn't exist"
expect_commands EXAMINE
no_output
mailbox=
end

check 'list'
imap list
expect 0
expect_commands 'EXAMINE NOOP FETCH'
[ "$(wc -l <"$work/out")" -eq "$MESSAGES" ] || fails "$(wc -l <"$work/out") lines"
n=0
while IFS=$tab read -r uid size date flags; do
    n=$((n + 1))
    [ "$uid" = $n ] || fails "UID $uid in line $n"
    [ "$size" = "$(stored $n | wc -c)" ] || fails "size $size in line $n"
    wanted=$(stat -c %Y "$STATE/mail/cur/170000000$n."*)
    [ "$(date -d "$date" +%s)" = "$wanted" ] || fails "date $date in line $n"
    echo "$flags" >>"$work/flags"
done <"$work/out"
printf '%s\n' seen 'flagged seen' - - - >"$work/expected"
sed 's/recent//; s/^ *//; s/ *$//; s/  */ /; s/^$/-/' "$work/flags" | cmp -s - "$work/expected" || fails 'other flags'
end

check 'list: an empty mailbox'
mailbox='with "quote"'
imap list
expect 0
expect_commands 'EXAMINE NOOP'
no_output
mailbox=
end

# ---- headers, message ----

check 'headers'
imap headers 1
expect 0
expect_commands 'EXAMINE FETCH'
stored 1 | sed "/^$(printf '\r')\$/q" >"$work/expected"
same "$work/expected"
end

n=0
while [ $n -lt "$MESSAGES" ]; do
    n=$((n + 1))
    check "message $n"
    imap message $n
    expect 0
    expect_commands 'EXAMINE FETCH'
    stored $n >"$work/expected"
    same "$work/expected"
    not_in_log ' MB'
    end
done

check 'message: it is not seen afterwards'
imap list
sed -n "s/^3$tab.*$tab//p" "$work/out" | grep -q seen && fails 'it is'
end

for word in headers message; do
    check "$word: there is no such message"
    imap $word 4294967295
    expect 1 1424
    expect_commands 'EXAMINE FETCH'
    no_output
    end
done

# ---- flags ----

check 'flags'
imap flags 3 +seen +flagged
expect 0
expect_commands 'SELECT STORE NOOP FETCH'
in_out "^3${tab}[0-9]*${tab}[^$tab]*$tab.*flagged.*seen\$"
[ "$(wc -l <"$work/out")" -eq 1 ] || fails 'not one line'
imap flags 3 -flagged +answered +draft +deleted
expect 0
expect_commands 'SELECT STORE STORE NOOP FETCH'
in_out "${tab}answered deleted draft.* seen\$"
imap list
in_out "^3$tab.*${tab}answered deleted draft.* seen\$"
imap flags 3 -seen -answered -draft -deleted
imap list
sed -n "s/^3$tab.*$tab//p" "$work/out" | grep -q '^-$\|^recent$' || fails 'not all are removed'
end

check 'flags: there is no such message'
imap flags 99 +seen
expect 1 1424
no_output
in_log '^C: .* LOGOUT'
end

# ---- append ----

# appended: the UID is what was printed.
appended() {
    expect 0
    expect_commands APPEND
    uid=$(cat "$work/out")
    case $uid in
    *[!0-9]* | '') fails "no UID was printed, but '$uid'" uid=1 ;;
    esac
}

mailbox=Entwürfe
check 'append: LF becomes CRLF, CRLF stays'
printf 'Subject: =?x?\n\rA: b\r\n\r\n\nbare\rCR \303\274\377\r\n\n.\n' >"$work/letter"
printf 'Subject: =?x?\r\n\rA: b\r\n\r\n\r\nbare\rCR \303\274\377\r\n\r\n.\r\n' >"$work/expected"
imap append "$work/letter"
appended
imap message "$uid"
same "$work/expected"
end

check 'append: 5 MB, byte for byte'
imap append "$BIG_FILE"
appended
imap message "$uid"
same "$BIG_FILE"
end

check 'append: standard input that is a file'
input=$work/letter
imap append -
appended
input=/dev/null
imap message "$uid"
same "$work/expected"
end

check 'append: standard input from where it is'
{
    # A shell reads no further than the line's end.
    read -r _
    timeout 30 "$client" -u "$USER" -p "$PASSWORD" -C "$CAFILE" -m "$mailbox" -v "$HOST:$IMAPS_PORT" append - \
        >"$work/out" 2>"$work/err"
    status=$?
} <"$work/letter"
no_report
appended
tail -c +16 "$work/expected" >"$work/rest"
imap message "$uid"
same "$work/rest"
end

check 'append: there is no such mailbox'
mailbox=nowhere
imap append "$work/letter"
expect 1 1414
in_log '^imapconnect: the server said: NO \[TRYCREATE\]'
expect_commands APPEND
end
mailbox=

check 'append: what is sent'
printf 'a\nb\r\n\n\rc\r' >"$work/letter"
server "$hello" '<' "$in_" '<' '+ go\r\n' '<' '<' '<' '<' '%t OK done\r\n' '<' "$bye" "$out"
run "$client" -s 0 -u joe -p x "127.0.0.1:$port" append "$work/letter"
server_ends
expect 0
no_output
tag=$(sed -n '2s/ .*//p' "$work/sent")
{
    sed -n 1p "$work/sent"
    printf '%s APPEND "INBOX" {11}\r\na\r\nb\r\n\r\n\rc\r\r\n' "$tag"
    tail -n 1 "$work/sent"
} >"$work/expected"
cmp -s "$work/expected" "$work/sent" || fails 'other bytes'
end

# The message is announced before it is read for the second time.
for change in 'gets shorter' 'gets longer' 'holds a NUL'; do
    check "append: the file $change meanwhile"
    awk 'BEGIN { for (i = 0; i < 20000; i++) print "a line" }' >"$work/letter"
    server "$hello" '<' "$in_" '<' '~600' '+ go\r\n' '<'
    {
        until_true grep -q APPEND "$work/sent"
        case $change in
        *shorter) : >"$work/letter" ;;
        *longer) echo more >>"$work/letter" ;;
        *NUL) printf '\000' | dd of="$work/letter" bs=1 seek=100000 conv=notrunc 2>/dev/null ;;
        esac
    } &
    run "$client" -s 0 -u joe -p x "127.0.0.1:$port" append "$work/letter"
    wait $!
    server_ends
    expect 1 516
    in_log '^imapconnect: the file has changed'
    in_sent ' APPEND "INBOX" {160000}'
    not_in_sent LOGOUT
    end
done

# ---- search ----

# found WHAT UIDS WORD...: these UIDs, a line for each.
found() {
    check "search: $1"
    uids=$2
    shift 2
    imap search "$@"
    expect 0
    expect_commands 'EXAMINE SEARCH'
    if [ -n "$uids" ]; then lines "$uids"; else no_output; fi
    end
}
found 'several words' 1 from ada
found 'a text with a blank' 5 subject 'five megabytes'
found 'the same, in the form of IMAP' 5 subject '"five megabytes"'
found 'all in one word' '1\n4' 'OR FROM ada FROM grace'
found 'parentheses' 1 or '(from ada subject engine)' '(from nobody)'
found 'UTF-8' 2 subject 'Grüße aus Zürich'
found 'UTF-8 without a blank' 2 seen subject Zürich
found 'an empty text fits all' '1\n2\n3\n4\n5' text ''
found 'nothing' '' subject nonsense
found 'a flag' 2 flagged

check 'search: a character set is named where it is needed'
imap search subject Größe
in_log '^C: [^ ]* UID SEARCH CHARSET UTF-8 '
imap search subject size
in_log '^C: [^ ]* UID SEARCH subject size$'
end

check 'search: BAD'
imap search nonsense
expect 1 1415
expect_commands 'EXAMINE SEARCH'
no_output
end

# ---- watch ----

# start_watch PROGRAM WORD...: in the background, its pid is $watch_pid; what it prints is in $work/news, each line
# behind its time.
start_watch() {
    : >"$work/news"
    : >"$work/watch-err"
    rm -f "$work/fifo"
    mkfifo "$work/fifo"
    while read -r line; do
        echo "$(now) $line" >>"$work/news"
    done <"$work/fifo" &
    reader_pid=$!
    "$@" >"$work/fifo" 2>"$work/watch-err" &
    watch_pid=$!
}

gone() { ! kill -0 "$watch_pid" 2>/dev/null; }

# Stops it by the signal $1; its status is $status.
stop_watch() {
    kill "-$1" "$watch_pid"
    until_true gone || {
        fails 'it does not end'
        kill -KILL "$watch_pid"
    }
    wait "$watch_pid" 2>/dev/null
    status=$?
    wait "$reader_pid"
    watch_pid='' reader_pid=''
    cp "$work/watch-err" "$work/err"
    no_report
}

start_imap_watch() {
    start_watch "$client" -u "$USER" -p "$PASSWORD" -C "$CAFILE" -v "$HOST:$IMAPS_PORT" watch
    until_true grep -q '^S: +' "$work/watch-err" || fails 'it does not wait'
}

# deliver SUBJECT: to $mailbox, by a second connection; when the server said that it is done is in $work/delivered.
deliver() {
    printf 'From: joe@example.net\nSubject: %s\n\nhello\n' "$1" >"$work/mail"
    : >"$work/delivered"
    timeout 30 "$client" -u "$USER" -p "$PASSWORD" -C "$CAFILE" -m "${mailbox:-INBOX}" -v "$HOST:$IMAPS_PORT" \
        append "$work/mail" 2>&1 >"$work/delivered-uid" | while read -r line; do
        case $line in
        'S: '*' OK [APPENDUID '*) now >"$work/delivered" ;;
        esac
    done
    [ -s "$work/delivered" ] || fails 'it was not delivered'
}

# in_time TEXT: a line of the watcher's that has it came at most a second after the delivery.
in_time() {
    if until_true grep -q "$1" "$work/news"; then
        late=$(($(grep -m 1 "$1" "$work/news" | cut -d ' ' -f 1) - $(cat "$work/delivered")))
        echo "# $late ms after the delivery"
        [ $late -le 1000 ] || fails "'$1' came after $late ms"
    else
        fails "no '$1' was printed"
    fi
}

# What the watcher has printed, in one line.
news() { sed 's/^[0-9]* //' "$work/news" | tr '\n' ' '; }

check 'watch: new messages, within a second; SIGTERM ends it'
start_imap_watch
deliver one
in_time "exists $((MESSAGES + 1))\$"
deliver two
in_time "exists $((MESSAGES + 2))\$"
stop_watch TERM
expect 0
expect_commands 'EXAMINE IDLE'
in_log '^C: DONE$'
! grep -qv '^[0-9]* \(exists\|recent\|flags\|expunge\) [0-9]*$' "$work/news" || fails 'it prints something else'
end

check 'watch: flags, expunge'
start_imap_watch
imap 'SELECT INBOX' "STORE 2 +FLAGS (\\Answered)" "STORE $((MESSAGES + 1)) +FLAGS (\\Deleted)"
until_true grep -q "flags $((MESSAGES + 1))" "$work/news" || fails "no flags were printed"
imap 'SELECT INBOX' EXPUNGE
until_true grep -q "expunge" "$work/news" || fails "no expunge was printed"
stop_watch HUP
expect 0
case " $(news)" in
*" flags 2 "*" expunge $((MESSAGES + 1)) "*) ;;
*) fails "it printed '$(news)'" ;;
esac
end

check 'watch: SECONDS'
began=$(now)
imap watch 1
took 1000 4000
expect 0
expect_commands 'EXAMINE IDLE'
no_output
end

# In the background a shell's children ignore SIGINT; those of timeout do not.
check 'watch: SIGINT'
began=$(now)
timeout --foreground --preserve-status -s INT -k 10 2 "$client" -u "$USER" -p "$PASSWORD" -C "$CAFILE" -v \
    "$HOST:$IMAPS_PORT" watch >"$work/out" 2>"$work/err"
status=$?
took 2000 4000
no_report
expect 0
expect_commands 'EXAMINE IDLE'
in_log '^C: DONE$'
end

check 'watch: the connection ends'
server "$hello" '<' "$in_" '<' '* 3 EXISTS\r\n%t OK [READ-ONLY] done\r\n' '<' '+ idling\r\n' '* 4 EXISTS\r\n' '~300' '!'
run "$client" -s 0 -u joe -p x "127.0.0.1:$port" watch
server_ends
tail -n 1 "$work/err" | grep -q '(-10054)\|(-1033)' || fails 'another error'
expect 1
lines 'exists 4'
end

check 'watch: the server says BYE'
server "$hello" '<' "$in_" '<' '* 3 EXISTS\r\n%t OK [READ-ONLY] done\r\n' '<' '+ idling\r\n' '* BYE going down\r\n'
run "$client" -s 0 -u joe -p x "127.0.0.1:$port" watch
expect 1 1416
in_log '^imapconnect: .*going down'
end

# ---- the terminal ----

# on_terminal COMMAND: the shell command on a terminal of its own; what that shows is in $work/tty, carriage returns
# as line ends.
on_terminal() {
    timeout 30 script -qec "$1" /dev/null </dev/null 2>/dev/null | tr '\r' '\n' >"$work/tty"
    cp "$work/tty" "$work/err"
}
shows() { grep -aq "$1" "$work/tty" || fails "the terminal does not show '$1'"; }
shows_no() { ! grep -aq "$1" "$work/tty" || fails "the terminal shows '$1'"; }

if script -qec true /dev/null >/dev/null 2>&1 </dev/null; then
    fetch_it="'$client' -u '$USER' -p '$PASSWORD' -C '$CAFILE' $HOST:$IMAPS_PORT message"
    megabytes=$(awk -v size="$BIG_SIZE" 'BEGIN { printf "%.1f", size / 1000000 }')

    check 'message: a progress line, which is gone at the end'
    on_terminal "$fetch_it $BIG_NUMBER >'$work/out'; echo status=\$?"
    shows "^ *[0-9]\.[0-9] of $megabytes MB, [1-9][0-9] %\$"
    shows "^ *$megabytes of $megabytes MB, 100 %\$"
    shows '^status=0$'
    [ "$(grep -a -c ' MB, ' "$work/tty")" -le 101 ] || fails 'it is drawn too often'
    grep -a -A 1 '100 %' "$work/tty" | tail -n 1 | grep -q '^ \{35,\}$' || fails 'it is not overwritten with blanks'
    same "$BIG_FILE"
    end

    check 'message: no progress line for a short one'
    on_terminal "$fetch_it 1 >'$work/out'; echo status=\$?"
    shows '^status=0$'
    shows_no ' MB'
    end

    check 'message: no progress line when the message goes to the terminal'
    on_terminal "$fetch_it $BIG_NUMBER"
    shows '^Subject: Five megabytes$'
    shows_no ' MB, '
    end
else
    echo '# skipped: the progress line; this machine gives no pseudo-terminal'
fi

# ---- standard output that fails ----

for words in ls "message $BIG_NUMBER" list 'search all' select; do
    check "$words: standard output is full"
    # shellcheck disable=SC2086
    timeout 30 "$client" -v -u "$USER" -p "$PASSWORD" -C "$CAFILE" "$HOST:$IMAPS_PORT" $words >/dev/full \
        2>"$work/err"
    status=$?
    no_report
    expect 1 516
    in_log '^imapconnect: cannot write standard output'
    not_in_log '^C: [^ ]* LOGOUT'
    end
done

check 'watch: standard output is full'
: >"$work/err"
"$client" -v -u "$USER" -p "$PASSWORD" -C "$CAFILE" "$HOST:$IMAPS_PORT" watch 20 >/dev/full 2>"$work/err" &
watch_pid=$!
until_true grep -q '^S: +' "$work/err"
deliver three
wait $watch_pid
status=$?
watch_pid=
no_report
expect 1 516
in_log '^imapconnect: cannot write standard output'
end

# ---- STARTTLS: what is from before TLS is not for standard output ----

check 'list, by STARTTLS'
run "$client" -s 2 -u "$USER" -p "$PASSWORD" -C "$CAFILE" "$HOST:$IMAP_PORT" list
expect 0
[ ! -s "$work/err" ] || fails 'something on standard error'
! grep -av "^[0-9]*${tab}[0-9]*${tab}[^$tab]*${tab}[a-z -]*\$" "$work/out" >/dev/null || fails 'not four columns'
end

# ---- the command line ----

# usage NAME ARGS...: exit status 2 before anything is connected or asked for, a line of usage, no output.
usage() {
    check "bad usage: $1"
    shift
    run "$client" -u joe -p xyzzy "$@"
    expect 2
    grep -q '^usage: imapconnect ' "$work/err" || fails 'no line of usage'
    no_output
    end
}
for uid in 0 -1 x '' 1x ' 1' 1:2 '*' 4294967296 18446744073709551617; do
    usage "UID '$uid'" host message "$uid"
    usage "UID '$uid', headers" host headers "$uid"
    usage "UID '$uid', flags" host flags "$uid" +seen
done
for flag in seen ++seen '+' +Seen +recent '+\Seen' -deletedx +see ''; do
    usage "flag '$flag'" host flags 7 "$flag"
done
usage 'a flag twice' host flags 7 +seen -seen
for words in headers message flags 'flags 7' append search; do
    # shellcheck disable=SC2086
    usage "'$words' and nothing behind it" host $words
done
for words in 'ls a b' 'select x' 'list 1' 'headers 1 2' 'message 1 2' 'watch 1 2' 'append a b'; do
    # shellcheck disable=SC2086
    usage "too many words: $words" host $words
done
for seconds in 0 -1 '' x 1.5 2147484; do
    usage "watch '$seconds'" host watch "$seconds"
done
printf 'Subject: a\n\n\000\n' >"$work/letter"
: >"$work/empty"
mkfifo "$work/nobody"
usage 'append: no such file' host append "$work/nothing"
usage 'append: a folder' host append "$work"
usage 'append: a pipe' host append "$work/nobody"
usage 'append: NUL' host append "$work/letter"
usage 'append: an empty file' host append "$work/empty"
usage 'append: standard input that is no file' host append -
usage 'search: text that is not ASCII, and not the last word' host search subject Größe seen
usage 'search: the same in one word' host search 'subject Größe'
usage 'search: an empty word' host search '' seen
usage 'search: not UTF-8' host search subject "$(printf 'Gr\366\337e')"
usage 'search: two lines' host search subject "$(printf 'a\nb')"
usage 'search: too long' host search "$(awk 'BEGIN { for (i = 0; i < 9000; i++) printf "x" }')"
usage 'ls: not UTF-8' host ls "$(printf 'Gr\366\337e')"
usage '--mailbox without a value' --mailbox
usage '--mailbox: not UTF-8' -m "$(printf 'Gr\366\337e')" host list
usage '--mailbox: overlong' -m "$(printf '\300\257')" host list
usage '--mailbox: a surrogate' -m "$(printf '\355\240\200')" host list
usage '--mailbox: two lines' -m "$(printf 'a\nb')" host list
usage '--mailbox, and a COMMAND' -m Sent host NOOP
usage '--mailbox, and ls' --mailbox=Sent host ls
usage '--mailbox alone' -m Sent host

check 'bad usage says what is wrong'
run "$client" -u joe -p xyzzy host flags 7 +seen -sene
in_log '^imapconnect: flags: .*-sene$'
in_log '^usage: imapconnect .* flags UID +FLAG'
run "$client" -u joe -p xyzzy host message 7 8
in_log '^imapconnect: message: too many words: 8$'
run "$client" -u joe host message x
in_log '^imapconnect: message: not a UID: x$'
run "$client" -u joe -p xyzzy host append -
in_log '^imapconnect: append: the size must be known beforehand.*: standard input$'
run "$client" -u joe -p xyzzy host append "$work/nothing"
in_log "^imapconnect: append: No such file.*: $work/nothing\$"
end

# Sent as they stand: the server does not know them.
for word in LS Message MESSAGE Watch message7 'headers,' 'flags 1' 'message 1'; do
    check "no sub-command: '$word'"
    imap "$word"
    expect 1 1415
    in_log "^C: [^ ]* $word\$"
    end
done
check 'a sub-command behind a COMMAND is none'
imap NOOP ls
expect 1 1415
in_log '^C: [^ ]* ls$'
end

check '--help lists them'
run "$client" --help
expect 0
for word in ls select list headers message flags watch append search; do
    in_out "^  $word "
done
in_out ' -m, --mailbox'
! grep -q '.\{121\}' "$work/out" || fails 'a line is very long'
end

# ---- watch.c, fetch.c ----

IMAPCONNECT_PASSWORD=$PASSWORD
export IMAPCONNECT_PASSWORD

# The example, and mail until it has seen some: then it waits.
start_example() {
    start_watch "$work/watch" "$HOST:$IMAPS_PORT" "$USER" "${mailbox:-INBOX}" "$CAFILE"
    tries=0
    until [ -s "$work/news" ] || [ $tries -ge 10 ]; do
        tries=$((tries + 1))
        deliver 'warming up'
        sleep 1
    done
}

# What it has printed since then, without UIDs.
subjects() { sed -n '/warming up$/!s/^[0-9]* [0-9]*: //p' "$work/news"; }

check 'watch.c: the subject, within a second'
start_example
deliver 'a subject: for watch.c'
in_time 'Subject: a subject: for watch.c$'
deliver 'another one'
in_time 'Subject: another one$'
stop_watch TERM
[ "$(subjects | wc -l)" -eq 2 ] || fails 'it printed something else'
tail -n 1 "$work/news" | grep -q "^[0-9]* $(cat "$work/delivered-uid"): " || fails 'the UID is another'
end

check 'watch.c: 40 at once, all of them and in order'
i=0
: >"$work/expected"
while [ $i -lt 40 ]; do
    i=$((i + 1))
    printf 'Subject: number %d,\n folded\n\nx\n' $i >"$work/many.$i"
    echo "Subject: number $i, folded" >>"$work/expected"
done
mailbox='with "quote"'
start_example
mails=$STATE/mail/'.with "quote"'
i=0
while [ $i -lt 40 ]; do
    i=$((i + 1))
    mv "$work/many.$i" "$mails/tmp/$((1700000100 + i)).M$i.localhost"
    chmod 644 "$mails/tmp/$((1700000100 + i)).M$i.localhost"
done
mv "$mails/tmp"/* "$mails/new/"
until_true grep -q 'number 40,' "$work/news" || fails 'they did not all come'
stop_watch TERM
mailbox=
subjects | cmp -s - "$work/expected" || fails 'not the subjects that were delivered'
end

check 'fetch.c: exactly the bytes'
rm -rf "$work/mails" && mkdir "$work/mails"
run "$work/fetch" "$HOST:$IMAPS_PORT" "$USER" "$BIG_NUMBER" "$work/mails/big.eml" INBOX "$CAFILE"
expect 0
cmp -s "$BIG_FILE" "$work/mails/big.eml" || fails 'other bytes'
[ "$(ls -A "$work/mails")" = big.eml ] || fails "there is something else: $(ls -A "$work/mails")"
end

# keeps: what was there before is there, and nothing else.
keeps() {
    expect 1
    [ "$(cat "$work/mails/old.eml")" = old ] || fails 'the file has changed'
    [ "$(ls -A "$work/mails")" = old.eml ] || fails "there is something else: $(ls -A "$work/mails")"
}
rm "$work/mails/big.eml"
echo old >"$work/mails/old.eml"

check 'fetch.c: there is no such message'
run "$work/fetch" "$HOST:$IMAPS_PORT" "$USER" 4294967295 "$work/mails/old.eml" INBOX "$CAFILE"
keeps
in_log '(-1424)'
end

check 'fetch.c: a CA that did not make the certificate'
run "$work/fetch" "$HOST:$IMAPS_PORT" "$USER" 1 "$work/mails/old.eml" INBOX "$CERTS/ca-other.pem"
keeps
in_log '(-1410)'
end

check 'fetch.c: there is no room'
(
    trap '' XFSZ
    ulimit -f 2000
    timeout 30 "$work/fetch" "$HOST:$IMAPS_PORT" "$USER" "$BIG_NUMBER" "$work/mails/old.eml" INBOX "$CAFILE" \
        >"$work/out" 2>"$work/err"
)
status=$?
no_report
keeps
in_log 'cannot write: '
end

check 'fetch.c: a folder that is not there'
run "$work/fetch" "$HOST:$IMAPS_PORT" "$USER" 1 "$work/mails/none/x.eml" INBOX "$CAFILE"
keeps
end

check 'fetch.c, watch.c: bad usage'
run "$work/watch"
expect 2
for uid in 0 x 1x -1 '' 4294967296 ' 1'; do
    run "$work/fetch" "$HOST:$IMAPS_PORT" "$USER" "$uid" "$work/mails/old.eml"
    expect 2
done
run "$work/fetch" "$HOST:$IMAPS_PORT" "$USER" 1
expect 2
unset IMAPCONNECT_PASSWORD
run "$work/watch" "$HOST:$IMAPS_PORT" "$USER"
expect 2
end

for example in watch fetch; do
    check "$example.c is under 100 lines"
    [ "$(wc -l <"examples/$example.c")" -lt 100 ] || fails "$(wc -l <"examples/$example.c") lines"
    end
done

sum_up
