#!/bin/sh
# cli.sh: the sub-commands of the command line program, its ways to log in, --check, and the examples watch.c and
# fetch.c, against a real Dovecot, in TLS with verification. Where an honest server does not do what a test needs it is tests/live_server.c, in clear.
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
unset IMAPCONNECT_USER IMAPCONNECT_PASSWORD IMAPCONNECT_TOKEN
dovecots='dovecot disabled other-name'
server_pid='' watch_pid='' reader_pid=''
tab=$(printf '\t')

finish() {
    for pid in $server_pid $watch_pid $reader_pid; do
        kill "$pid" 2>/dev/null
    done
    # Each takes two seconds to end, so all at a time.
    for dovecot in $dovecots; do
        [ ! -d "$work/$dovecot" ] || sh tests/dovecot.sh stop "$work/$dovecot" &
    done
    wait
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

# The programs and the servers, all at a time.
build() {
    sh certs/make.sh "$CERTS" || return 1
    # shellcheck disable=SC2086
    gcc -std=c99 -D_POSIX_C_SOURCE=200809L -O2 $warnings tests/live_server.c -o "$work/live_server" &
    pids=$!
    sh tests/dovecot.sh start "$work/dovecot" &
    pids="$pids $!"
    sh tests/dovecot.sh start "$work/disabled" logindisabled &
    pids="$pids $!"
    CERTIFICATE=wrongname sh tests/dovecot.sh start "$work/other-name" login-only &
    pids="$pids $!"
    for program in imapconnect watch fetch; do
        # shellcheck disable=SC2086
        gcc -std=c99 -D_POSIX_C_SOURCE=200809L $asan $warnings "examples/$program.c" -o "$work/$program" -lwolfssl &
        pids="$pids $!"
    done
    # shellcheck disable=SC2086
    all_end $pids
}

CERTS=$work/certs
export CERTS
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
for option in check password-command auth token cert key pin id mailbox; do
    in_out " --$option "
done
! grep -q '.\{121\}' "$work/out" || fails 'a line is very long'
end

# ---- ways to log in ----

# The first command behind --auth NAMES; * stands for a secret.
while IFS='|' read -r names command; do
    check "--auth $names"
    run "$client" --auth "$names" -v -u "$USER" -p "$PASSWORD" -C "$CAFILE" "$HOST:$IMAPS_PORT" select
    expect 0
    [ "$(sed -n 's/^C: [^ ]* //p' "$work/err" | head -n 1)" = "$command" ] || fails "it does not begin with $command"
    end
done <<'END'
auto|AUTHENTICATE CRAM-MD5
plain|AUTHENTICATE PLAIN ***
LOGIN|LOGIN "joe" ***
Cram-MD5|AUTHENTICATE CRAM-MD5
login,plain|AUTHENTICATE PLAIN ***
STRONGEST|AUTHENTICATE CRAM-MD5
scram-sha-256,oauthbearer,login|LOGIN "joe" ***
END

check '--auth: none of them is offered'
run "$client" --auth scram-sha-1,external -v -u "$USER" -p "$PASSWORD" -C "$CAFILE" "$HOST:$IMAPS_PORT" ls
expect 1 1431
in_log '^imapconnect: --check says which ways'
not_in_log '^C:'
end

check '--auth: not in clear, unless that is wanted'
run "$client" --auth plain -s 0 -v -u "$USER" -p "$PASSWORD" "$HOST:$IMAP_PORT" ls
expect 1 1413
in_log '^imapconnect: use -s tls'
not_in_log '^C:'
run "$client" --auth plain,in-clear -s 0 -v -u "$USER" -p "$PASSWORD" "$HOST:$IMAP_PORT" ls
expect 0
in_log '^C: [^ ]* AUTHENTICATE PLAIN'
end

for names in '' x 'plain,' ',plain' 'auto,plain' in-clear 'plain login' scram AUTH=PLAIN; do
    usage "--auth '$names'" --auth "$names" host
done

check '--auth: what there is'
run "$client" -u joe -p xyzzy --auth "plain,$(printf '\033')[2J" host
expect 2
for word in auto strongest in-clear EXTERNAL OAUTHBEARER XOAUTH2 SCRAM-SHA-256-PLUS SCRAM-SHA-256 SCRAM-SHA-1 CRAM-MD5 \
    PLAIN LOGIN; do
    in_log "behind --auth: \"\\\\x1B\[2J\" is none of .*$word"
done
end

# xoauth2 TOKEN: it was sent as user and token of joe, by the form that Google and Microsoft document.
xoauth2() {
    printf 'user=joe\001auth=Bearer %s\001\001' "$1" | openssl base64 -A >"$work/expected"
    sed -n 's/^[^ ]* AUTHENTICATE XOAUTH2 \(.*\)\r$/\1/p' "$work/sent" | tr -d '\n' | cmp -s - "$work/expected" ||
        fails 'the token was not sent so'
}

# token_server STEP...: it wants a token; then it goes on with the steps.
token_server() { server '* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=XOAUTH2 AUTH=PLAIN] hello\r\n' '<' "$@"; }

# as_joe WORD...: in clear, to the scripted server.
as_joe() { run "$client" -s 0 -u joe "$@" "127.0.0.1:$port"; }

long=$(awk 'BEGIN { for (i = 0; i < 5000; i++) printf "%c", 97 + i % 26 }')
for token in ya29.x-Y_z~+/= "$long"; do
    check "--token: $(printf %s "$token" | wc -c) bytes"
    printf '%s\r\nnot this\n' "$token" >"$work/token"
    token_server "$in_" '<' "$bye" "$out"
    as_joe --auth xoauth2,in-clear --token "$work/token"
    server_ends
    expect 0
    xoauth2 "$token"
    end
done

check '--token alone stands for the mechanisms of tokens; not in clear'
token_server
as_joe --token "$work/token" -v
expect 1 1413
not_in_log '^C:'
end

check "\$IMAPCONNECT_TOKEN"
token_server "$in_" '<' "$bye" "$out"
IMAPCONNECT_TOKEN=from-the-environment
export IMAPCONNECT_TOKEN
as_joe --auth=xoauth2,in-clear
unset IMAPCONNECT_TOKEN
server_ends
expect 0
xoauth2 from-the-environment
end

# The server's reason is {"status":"401"}, and wants an empty answer: RFC 7628 section 3.2.3 has the same.
check 'a token that has expired'
token_server '+ eyJzdGF0dXMiOiI0MDEifQ==\r\n' '<' '%t NO [AUTHENTICATIONFAILED] no\r\n'
as_joe --auth xoauth2,in-clear --password-command 'echo old-token'
expect 1 1434
in_log '^imapconnect: get a new token'
not_in_log old-token
end

usage '--token with a password' --token "$work/token" host
usage 'a token on the command line' --auth xoauth2 host
usage '--token without its mechanisms' --auth plain --token "$work/token" host
for wanted in '--auth xoauth2' '--auth oauthbearer,xoauth2'; do
    check "no token, $wanted"
    # shellcheck disable=SC2086
    run "$client" -u joe $wanted host
    expect 2
    in_log '^imapconnect: no token'
    end
done

# secret_fails WHAT TEXT WORD...: there is no secret, which is said, and nothing is connected.
secret_fails() {
    check "$1"
    text=$2
    shift 2
    run "$client" -u joe "$@" "$HOST:$IMAPS_PORT"
    expect 1
    in_log "^imapconnect: --[a-z-]*: $text"
    no_output
    not_in_log 'xxx'
    end
}
: >"$work/empty"
head -c 17000 /dev/zero | tr '\0' x >"$work/long"
secret_fails '--token: no such file' 'No such file' --token "$work/nothing"
secret_fails '--token: an empty file' 'it gives nothing' --token "$work/empty"
secret_fails '--token: too long' 'its first line is too long' --token "$work/long"
secret_fails '--password-command: prints nothing' 'it gives nothing' --password-command true
secret_fails '--password-command: an empty line' 'its first line is empty' --password-command 'echo; echo secret'
secret_fails '--password-command: fails' 'it failed, with status 3' --password-command 'echo xxx; exit 3'
secret_fails '--password-command: is killed' 'it failed, with signal 9' --password-command 'echo xxx; kill -9 $$'
secret_fails '--password-command: not there' 'it failed, with status 127' --password-command "$work/nothing"
secret_fails '--password-command: too long' 'its first line is too long' --password-command "cat '$work/long'"
secret_fails '--password-command: endless' 'its first line is too long' \
    --password-command 'cat /dev/zero | tr "\0" x'
secret_fails '--password-command: NUL' 'its first line holds a NUL' --password-command 'printf "a\0b\n"'

check '--password-command'
# shellcheck disable=SC2016 # for the shell that the program starts
for command in 'echo secret' 'yes secret | head -n 1' 'printf "secret\r\nuser: joe\n"' 'read -r line; echo "$line" >&2; echo secret'; do
    run "$client" --password-command "$command" -u "$USER" -C "$CAFILE" "$HOST:$IMAPS_PORT" select
    expect 0
    in_out "^messages$tab"
    not_in_log 'pipe'
done
end

check '--password-command: a password that is longer than the library takes'
run "$client" --password-command "head -c 256 '$work/long'" -u "$USER" -C "$CAFILE" "$HOST:$IMAPS_PORT" select
expect 1 1269
end

usage '--password-command and a password' --password-command 'echo x' host

# ---- certificates of ours, pins, ID ----

pin_der() { openssl x509 -in "$CERTS/good-lo2.pem" -pubkey -noout | openssl pkey -pubin -outform DER; }
hex=$(pin_der | openssl dgst -sha256 -r | cut -d ' ' -f 1)
base64=$(pin_der | openssl dgst -sha256 -binary | openssl base64)
zeros=$(printf '%064d' 0)

# pinned WORD...: with these options.
pinned() { run "$client" -u "$USER" -p "$PASSWORD" -C "$CAFILE" "$@" -v "$HOST:$IMAPS_PORT" select; }

check '--pin'
for pin in "$hex" "$(echo "$hex" | tr a-f A-F)" "$base64"; do
    pinned --pin "$pin"
    expect 0
    pinned --pin "$zeros" --pin "$pin"
    expect 0
    pinned -k -C "$CERTS/ca-other.pem" --pin "$pin"
    expect 0
done
end

check '--pin: another key'
pinned --pin "$zeros"
expect 1 1426
in_log '^imapconnect: ask whoever runs the server'
not_in_log '^C:'
pinned -k --pin "$zeros"
expect 1 1426
end

check '--pin: another CA'
pinned --pin "$hex" -C "$CERTS/ca-other.pem"
expect 1 1410
end

# bad_pin PIN TEXT: what is said.
bad_pin() {
    check "--pin: $2"
    run "$client" -u joe -p xyzzy --pin "$1" host
    expect 2
    in_log "^imapconnect: bad value behind --pin:.*$2"
    end
}
bad_pin '' ' 0 characters'
bad_pin "${hex}0" '65 characters'
bad_pin "${hex%?}" '63 characters'
bad_pin "${hex%?}g" 'by its length it is hexadecimal'
bad_pin "${base64%=}" '43 characters'
bad_pin "${base64%=}A" 'by its length it is base64, but that it is not'
bad_pin "${base64%?=}B=" 'it is base64, but that it is not'
bad_pin "-${base64#?}" 'base64, but that it is not'
usage 'nine pins' --pin "$hex" --pin "$hex" --pin "$hex" --pin "$hex" --pin "$hex" --pin "$hex" --pin "$hex" --pin "$hex" \
    --pin "$hex" host
usage '--pin without TLS' -s 0 --pin "$hex" host
usage '--cert without TLS' -s none --cert "$CERTS/good.pem" host
usage '--key alone' --key "$CERTS/good.key" host

check '--cert, --key: what cannot be used'
pinned --cert "$work/nothing" --key "$CERTS/good.key"
expect 1 1427
in_log '^imapconnect: --cert and --key take PEM'
pinned --cert "$CERTS/good.pem"
expect 1 1427
end

# tls_server CAPABILITIES WORD...: one connection on $port, in TLS, which is greeted and told no more; the words are for
# openssl s_server. What it was sent is in $work/s_server, between what it says itself.
tls_server() {
    rm -f "$work/s_in"
    mkfifo "$work/s_in"
    # Both ends open: it never sees an end of its input, and its greeting waits for the client there.
    exec 3<>"$work/s_in"
    printf '* OK [CAPABILITY IMAP4rev1 %s] hello\r\n' "$1" >&3
    shift
    : >"$work/s_server"
    timeout 30 openssl s_server -naccept 1 -accept 127.0.0.1:0 -cert "$CERTS/good-lo2.pem" -key "$CERTS/good-lo2.key" \
        "$@" <&3 >"$work/s_server" 2>&1 &
    server_pid=$!
    until_true grep -q '^ACCEPT ' "$work/s_server"
    port=$(sed -n 's/^ACCEPT .*://p' "$work/s_server")
}

# A server that asks for a certificate, and lets nobody in without one.
check '--cert, --key'
cat "$CERTS/good.pem" "$CERTS/good.key" >"$work/both.pem"
for words in "--cert $CERTS/good.pem --key $CERTS/good.key" "--cert $work/both.pem" ''; do
    tls_server 'AUTH=EXTERNAL LOGINDISABLED' -Verify 2 -verify_return_error -CAfile "$CAFILE"
    # shellcheck disable=SC2086
    run "$client" -v -C "$CAFILE" $words --check -s tls "127.0.0.1:$port"
    server_ends
    if [ -n "$words" ]; then
        expect 0
        in_out '^  offers     EXTERNAL LOGINDISABLED$'
        in_out '^safe: -s tls --auth external with --cert$'
    else
        expect 1
        not_in_log '^S:'
    fi
done
end

check '--auth external: no password, and whom the certificate names'
server '* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=EXTERNAL] hello\r\n' '<' "$in_" '<' "$bye" "$out"
run "$client" -s 0 --auth external,in-clear "127.0.0.1:$port"
server_ends
expect 0
in_sent ' AUTHENTICATE EXTERNAL ='
end

check '--id'
run "$client" --id -v -u "$USER" -p "$PASSWORD" -C "$CAFILE" "$HOST:$IMAPS_PORT" select
expect 0
expect_commands 'ID EXAMINE'
in_log '^C: [^ ]* ID ("name" "imapconnect" "version" "[0-9.]*")$'
end

check '--id: the server does not know it'
server "$hello" '<' "$in_" '<' '%t BAD what?\r\n' '<' "$bye" "$out"
run "$client" -s 0 --id -u joe -p x "127.0.0.1:$port" list
server_ends
expect 1 1415
not_in_sent EXAMINE
in_sent LOGOUT
end

# ---- what to do ----

# By the answer to LOGIN: RFC 5530, and what Google, Microsoft and Dovecot say.
while IFS='|' read -r answer code advice; do
    check "advice: $answer"
    server "$hello" '<' "%t $answer\r\n"
    run "$client" -s 0 -u joe -p xyzzy "127.0.0.1:$port" list
    expect 1 "$code"
    in_log "^imapconnect: $advice"
    not_in_log xyzzy
    end
done <<'END'
NO wrong|1270|look at user name and password. Many providers want an app password
NO [AUTHENTICATIONFAILED] wrong|1270|look at user name and password
NO [UNAVAILABLE] later|1270|a part of the server is down, the password may be right: try again later
NO [ALERT] Application-specific password required|1270|the server's words are meant for you. .* app password
NO [ALERT] Too many simultaneous connections. (Failure)|1270|too many connections
NO [LIMIT] enough|1270|too many connections
NO [EXPIRED] old|1270|the password was right once
NO [PRIVACYREQUIRED] no|1270|the server takes no password without TLS
NO [CONTACTADMIN] x|1270|nothing that you could mend
NO [AUTHORIZATIONFAILED] x|1270|the secret is right, but not for this user name
END

check 'advice: none about a command that is refused'
server "$hello" '<' "$in_" '<' '%t NO [LIMIT] x\r\n' '<' "$bye" "$out"
run "$client" -s 0 -u joe -p x "127.0.0.1:$port" NOOP
expect 1 1414
not_in_log 'too many connections'
end

check 'advice: certificates'
run "$client" -u joe -p x -C "$CERTS/ca-other.pem" "$HOST:$IMAPS_PORT"
expect 1 1410
in_log '^imapconnect: if the server is yours, name its CA with -C'
end

# ---- --check ----

# look WORD...: --check with these words, as somebody who has a password, with the log. The suite and the ports are not
# always the same.
look() {
    run "$client" --check -v -u joe -p xyzzy "$@"
    sed -e 's/: TLS13-[A-Z0-9-]*/: SUITE/' -e "s/^port $IMAPS_PORT,/port TLS,/" -e "s/^port $IMAP_PORT,/port CLEAR,/" \
        "$work/out" >"$work/looked" && mv "$work/looked" "$work/out"
    not_in_log '^C: .*AUTHENTICATE\|^C: .*LOGIN\|^C: .*LOGOUT\|xyzzy'
}

# use DOVECOT
use() {
    # shellcheck disable=SC1090,SC1091
    . "$work/$1/env"
}

check '--check: passwords in clear, CRAM-MD5, STARTTLS'
look -C "$CAFILE" "$HOST:$IMAP_PORT"
expect 0
lines 'port CLEAR, in clear:
  offers     CRAM-MD5 PLAIN LOGIN STARTTLS
  auto       CRAM-MD5 LOGIN
  strongest  CRAM-MD5
  weak       PLAIN or LOGIN in clear: everyone on the way can read the password
  weak       CRAM-MD5 in clear: who records it can guess the password
port CLEAR, STARTTLS: SUITE, the certificate is good
  offers     CRAM-MD5 PLAIN LOGIN
  auto       CRAM-MD5 LOGIN
  strongest  CRAM-MD5 PLAIN LOGIN
safe: -s starttls --auth strongest (CRAM-MD5)'
end

check '--check: TLS'
look -C "$CAFILE" "$HOST:$IMAPS_PORT"
expect 0
lines 'port TLS, TLS: SUITE, the certificate is good
  offers     CRAM-MD5 PLAIN LOGIN
  auto       CRAM-MD5 LOGIN
  strongest  CRAM-MD5 PLAIN LOGIN
safe: -s tls --auth strongest (CRAM-MD5)'
cp "$work/out" "$work/good"
look -s tls -C "$CAFILE" "$HOST:$IMAPS_PORT"
expect 0
same "$work/good"
end

# weak REASON: as for TLS above, but for a certificate that is not good.
weak() {
    expect 1
    sed -e 's/, the certificate is good//' -e "s/^safe: .*/  weak       $1/" "$work/good" >"$work/expected"
    echo 'no safe way in was found' >>"$work/expected"
    same "$work/expected"
}

check '--check: a certificate of a CA that is not trusted'
look -C "$CERTS/ca-other.pem" "$HOST:$IMAPS_PORT"
weak 'the certificate is not from a trusted CA (IMAPCONNECT_E_UNTRUSTED)'
end

check '--check: no CA'
look -C "$CERTS/cadir-empty" "$HOST:$IMAPS_PORT"
weak 'no CA certificate found: the folder is missing or holds none (IMAPCONNECT_E_NO_CA)'
end

check '--check: pins'
look -k --pin "$hex" "$HOST:$IMAPS_PORT"
expect 0
sed 's/the certificate is good/the pin fits/' "$work/good" >"$work/expected"
same "$work/expected"
look -C "$CAFILE" --pin "$zeros" "$HOST:$IMAPS_PORT"
weak "the server's public key is none of those that are pinned (IMAPCONNECT_E_PIN)"
end

check '--check: nothing is verified, so nothing is safe'
look -k "$HOST:$IMAPS_PORT"
expect 1
in_out ': SUITE, the certificate was not looked at$'
in_out '^no safe way in was found$'
end

check '--check: in clear alone'
look -s 0 "$HOST:$IMAP_PORT"
expect 1
not_in_log '^C:'
not_in_out 'STARTTLS:'
end

use disabled
check '--check: LOGINDISABLED in clear, STARTTLS'
look -C "$CAFILE" "$HOST:$IMAP_PORT"
expect 0
lines 'port CLEAR, in clear:
  offers     STARTTLS LOGINDISABLED
  auto       -
  strongest  -
  good       no password and no token in clear
port CLEAR, STARTTLS: SUITE, the certificate is good
  offers     CRAM-MD5 PLAIN LOGIN
  auto       CRAM-MD5 LOGIN
  strongest  CRAM-MD5 PLAIN LOGIN
safe: -s starttls --auth strongest (CRAM-MD5)'
grep -q 'auth failed\|Login:\|user=<[^>]' "$LOG" && fails 'Dovecot saw a login'
end

use other-name
check '--check: a certificate for another name; only passwords'
look -C "$CAFILE" "$HOST:$IMAPS_PORT"
expect 1
lines 'port TLS, TLS: SUITE
  offers     PLAIN LOGIN
  auto       LOGIN
  strongest  PLAIN LOGIN
  weak       only passwords: PLAIN and LOGIN show the password to the server, and so to who is taken for it
  weak       the certificate belongs to another server (IMAPCONNECT_E_NAME)
no safe way in was found'
end
use dovecot

# What is inside TLS, and what is said to it, with its exit status.
while IFS='|' read -r capabilities expected text; do
    check "--check, inside TLS: $capabilities"
    # shellcheck disable=SC2046
    tls_server "${capabilities%% -*}" $(echo "$capabilities" | grep -o -e ' -tls1_2$')
    run "$client" --check -s tls -C "$CAFILE" "127.0.0.1:$port"
    server_ends
    expect "$expected"
    in_out "$text"
    ! grep -aq 'AUTHENTICATE\|LOGIN\|CAPABILITY\|^[a-z][0-9]' "$work/s_server" || fails 'something was sent'
    end
done <<'END'
AUTH=OAUTHBEARER AUTH=XOAUTH2 LOGINDISABLED|0|^safe: -s tls --auth oauthbearer,xoauth2 with a token$
AUTH=CRAM-MD5 LOGINDISABLED|0|^  weak       CRAM-MD5 only
AUTH=CRAM-MD5 LOGINDISABLED|0|^  weak       LOGINDISABLED inside TLS
AUTH=GSSAPI LOGINDISABLED|1|^  weak       no way in that this library knows$
AUTH=SCRAM-SHA-1 AUTH=SCRAM-SHA-256 AUTH=PLAIN|0|^safe: -s tls --auth strongest (SCRAM-SHA-256)$
AUTH=SCRAM-SHA-256-PLUS AUTH=SCRAM-SHA-256 LOGINDISABLED|0|^safe: -s tls --auth strongest (SCRAM-SHA-256
SASL-IR -tls1_2|0|^  weak       TLS 1.2, not 1.3$
END

# scripted MODE STEP...: --check of a scripted server.
scripted() {
    mode=$1
    shift
    server "$@"
    run "$client" --check -s "$mode" -u joe -p xyzzy "127.0.0.1:$port"
    server_ends
    sed -i "s/^port $port,/port CLEAR,/" "$work/out"
}

check '--check: no STARTTLS'
scripted 2 '* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hello\r\n'
expect 1
[ ! -s "$work/sent" ] || fails 'something was sent'
lines 'port CLEAR, in clear:
  offers     PLAIN LOGIN
  auto       LOGIN
  strongest  -
  weak       no STARTTLS: whatever is done on this port, everyone on the way can read it
  weak       PLAIN or LOGIN in clear: everyone on the way can read the password
port CLEAR, STARTTLS: the server does not offer STARTTLS, so no secure connection (IMAPCONNECT_E_NO_STARTTLS)
no safe way in was found'
end

check '--check: what the server offers does not steer the terminal'
scripted 0 '* OK hello\r\n' '<' \
    '* capability imap4rev1 auth=xoauth2 auth=\x1b[2J AUTH=GSSAPI logindisabled auth=Scram-Sha-256-Plus\r\n'
expect 1
[ "$(cut -d ' ' -f 2 "$work/sent")" = "$(printf 'CAPABILITY\r')" ] || fails 'something else was sent'
lines 'port CLEAR, in clear:
  offers     XOAUTH2 SCRAM-SHA-256-PLUS LOGINDISABLED
  others     \\x1B[2J GSSAPI
  auto       -
  strongest  -
  weak       no STARTTLS: whatever is done on this port, everyone on the way can read it
  weak       tokens in clear: everyone on the way can read them
no safe way in was found'
end

check '--check: PREAUTH'
scripted 0 '* PREAUTH hello\r\n' '<' '* CAPABILITY IMAP4rev1 LOGINDISABLED\r\n'
expect 1
in_out '^  weak       PREAUTH: whoever connects is logged in$'
scripted 2 '* PREAUTH [CAPABILITY IMAP4rev1 STARTTLS] hello\r\n'
expect 1
in_out 'IMAPCONNECT_E_PREAUTH'
[ ! -s "$work/sent" ] || fails 'something was sent'
end

check '--check: SCRAM, offered in clear'
scripted 0 '* OK [CAPABILITY IMAP4rev1 STARTTLS AUTH=SCRAM-SHA-1 AUTH=SCRAM-SHA-256 LOGINDISABLED AUTH=LOGIN] hello\r\n'
expect 1
[ ! -s "$work/sent" ] || fails 'something was sent'
lines 'port CLEAR, in clear:
  offers     SCRAM-SHA-256 SCRAM-SHA-1 STARTTLS LOGINDISABLED
  auto       -
  strongest  SCRAM-SHA-256 SCRAM-SHA-1
  good       no password and no token in clear
no safe way in was found'
end

check '--check: a list of any length'
scripted 0 "* OK [CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN $long" " $long" " $long] hello\\r\\n"
expect 1
in_out '^  offers     PLAIN LOGIN STARTTLS$'
end

check '--check: nobody is there'
run "$client" -t 2 --check 127.0.0.1:1
expect 1
lines 'port 1, TLS: connection refused: no server listens there (IMAPCONNECT_E_REFUSED)
no safe way in was found'
run "$client" -t 2 --check 127.0.0.77
expect 1
in_out '^port 993, TLS: '
in_out '^port 143, STARTTLS: '
run "$client" -t 2 --check nowhere.invalid
tail -n 1 "$work/err" | grep -q '(-1100[1234])\|(-1034)' || fails 'another error'
no_output
expect 1
run "$client" --check -- -x
expect 1 503
end

check '--check: a server that says nothing'
server '~5000'
began=$(now)
run "$client" -t 1 --check "127.0.0.1:$port"
took 1000 4500
expect 1
in_out 'IMAPCONNECT_E_TIMEOUT'
end

check '--check: standard output is full'
timeout 30 "$client" --check -C "$CAFILE" "$HOST:$IMAPS_PORT" >/dev/full 2>"$work/err"
status=$?
no_report
expect 1 516
in_log '^imapconnect: cannot write standard output'
end

usage '--check and a COMMAND' --check host NOOP
usage '--check and a sub-command' --check host ls
usage '--check without SERVER' --check
usage '--check=x' --check=x host

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
