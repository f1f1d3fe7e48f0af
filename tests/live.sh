#!/bin/sh
# live.sh: the command line program and the examples against a real Dovecot, and, where an honest server does not do
# what a test needs, against tests/live_server.c. What is expected follows the specification, not the program.
#
#   live.sh          everything; programs are taken from BUILD_DIR, and built there when they are missing
#
# Most checks use a build of their own with AddressSanitizer and UBSan; a few are repeated with $BUILD_DIR/imapconnect.
# One line `ok NAME` or `not ok NAME - why` for each check; the last line is `N passed, N failed`.
# shellcheck disable=SC2153 # the names are those of dovecot.sh
set -u

cd "$(dirname "$0")/.." || exit 1
LC_ALL=C
export LC_ALL
BUILD_DIR=${BUILD_DIR:-build}
mkdir -p "$BUILD_DIR" && BUILD_DIR=$(cd "$BUILD_DIR" && pwd) || exit 1
unset IMAPCONNECT_USER IMAPCONNECT_PASSWORD
work=$(mktemp -d "$BUILD_DIR/live.XXXXXX") || exit 1
chmod 755 "$work"
server_pid=
variants='normal login-only logindisabled no-starttls'

finish() {
    [ -z "$server_pid" ] || kill "$server_pid" 2>/dev/null
    # Each takes two seconds to end, so all at a time.
    for variant in $variants; do
        [ ! -d "$work/$variant" ] || sh tests/dovecot.sh stop "$work/$variant" &
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
        wait "$server_pid" 2>/dev/null
        server_pid=
    }
    if [ -z "$why" ]; then
        ok "$name"
    else
        not_ok "$name" "$why"
        sed 's/^/    /' "$work/err" | head -n 30 | cut -c 1-300
    fi
}

# Runs the client without a terminal; what it wrote is in $work/out and $work/err, its status in $status.
run() {
    timeout 30 setsid -w "$client" "$@" <"/dev/null" >"$work/out" 2>"$work/err"
    status=$?
    no_report
}

no_report() {
    ! grep -aq 'Sanitizer\|runtime error:' "$work/err" || fails 'a sanitizer complains'
}

# expect STATUS [NUMBER]: the exit status, and the number in the last line on standard error.
expect() {
    [ "$status" -eq "$1" ] || fails "exit status $status, not $1"
    [ $# -lt 2 ] || tail -n 1 "$work/err" | grep -Eq "^imapconnect: IMAPCONNECT_[A-Z0-9_]+ \(-?($2)\): [A-Za-z\`]" ||
        fails "the last line is not the one of -$2"
}

in_log() { grep -aq -e "$1" "$work/err" || fails "no '$1' in the log"; }
not_in_log() { ! grep -aq -e "$1" "$work/err" || fails "'$1' in the log"; }
in_out() { grep -aq -e "$1" "$work/out" || fails "no '$1' on standard output"; }
not_in_out() { ! grep -aq -e "$1" "$work/out" || fails "'$1' on standard output"; }
in_sent() { grep -aFq -e "$1" "$work/sent" || fails "'$1' was not sent"; }
not_in_sent() { ! grep -aFq -e "$1" "$work/sent" || fails "'$1' was sent"; }

# The client's words in the log, tags left out, in one line.
commands() {
    sed -n 's/^C: [^ ]* \([A-Z][A-Z]*\).*/\1/p' "$work/err" | tr '\n' ' '
}
expect_commands() {
    [ "$(commands)" = "$1 " ] || fails "the commands were '$(commands)', not '$1'"
}

# secret_free USER PASSWORD: neither the password nor the CRAM-MD5 digest is in anything that was printed.
secret_free() {
    hexkey=$(printf %s "$2" | od -An -v -tx1 | tr -d ' \n')
    {
        printf '%s\n' "$2"
        echo "$hexkey"
        printf %s "$2" | openssl base64 -A | tr -d =
        echo
        # A challenge has no space in it.
        # shellcheck disable=SC2013
        for challenge in $(sed -n 's/^S: + \([A-Za-z0-9+/]*=*\)$/\1/p' "$work/err"); do
            digest=$(echo "$challenge" | openssl base64 -d -A | openssl dgst -md5 -mac HMAC -macopt "hexkey:$hexkey" |
                sed 's/.* //')
            echo "$digest"
            # The last two characters depend on the padding.
            printf '%s %s' "$1" "$digest" | openssl base64 -A | sed 's/..=*$//'
            echo
        done
    } >"$work/secrets"
    ! grep -q '^.\{0,3\}$' "$work/secrets" || fails 'the list of secrets is not good enough'
    ! grep -aFq -f "$work/secrets" "$work/out" "$work/err" || fails 'a secret was printed'
}

# server STEP...: a scripted server for one connection, on $port; see live_server.c. What the client sends it is in
# $work/sent when it has ended.
server() {
    : >"$work/port"
    "$work/live_server" "$work/sent" "$@" >"$work/port" &
    server_pid=$!
    tries=0
    until [ -s "$work/port" ] || [ $tries -ge 200 ]; do
        tries=$((tries + 1))
        sleep 0.02
    done
    port=$(cat "$work/port")
}

# Waits until the scripted server has seen the end of the connection.
server_ends() {
    wait "$server_pid"
    server_pid=
}

now() { date +%s%3N; }

# took FROM TO: the last `timed` run took so many milliseconds.
timed() {
    began=$(now)
    "$@"
    took=$(($(now) - began))
}
took() {
    [ $took -ge "$1" ] || fails "it took only $took ms"
    [ $took -le "$2" ] || fails "it took $took ms"
}

# ---- build ----

compile() {
    gcc -std=c99 -D_POSIX_C_SOURCE=200809L "$@" -lwolfssl
}

asan='-O0 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer'
ASAN_OPTIONS=exitcode=99:abort_on_error=0 UBSAN_OPTIONS=print_stacktrace=1
export ASAN_OPTIONS UBSAN_OPTIONS

# program NAME: two builds of an example, with the sanitizers and, in BUILD_DIR, without.
program() {
    # shellcheck disable=SC2086
    compile $asan $warnings "examples/$1.c" -o "$work/$1" || return 1
    [ ! -x "$BUILD_DIR/$1" ] || [ -n "$(find imapconnect.h "examples/$1.c" -newer "$BUILD_DIR/$1")" ] || return 0
    # Another test may do the same at the same time.
    # shellcheck disable=SC2086
    compile -O2 $warnings "examples/$1.c" -o "$work/$1.release" && mv "$work/$1.release" "$BUILD_DIR/$1"
}

# The programs and the servers, all at a time.
build() {
    sh certs/make.sh "$work/certs" || return 1
    # shellcheck disable=SC2086
    compile -O2 $warnings tests/live_server.c -o "$work/live_server" &
    pids=$!
    for variant in $variants; do
        sh tests/dovecot.sh start "$work/$variant" "$variant" &
        pids="$pids $!"
    done
    for program in imapconnect blocking poll transport; do
        program $program &
        pids="$pids $!"
    done
    # shellcheck disable=SC2086
    all_end $pids
}

# dovecot VARIANT: the one that is meant from now on; its values are in the variables that dovecot.sh names.
dovecot() {
    # shellcheck disable=SC1090,SC1091
    . "$work/$1/env"
}

CERTS=$work/certs
export CERTS
build || {
    not_ok build 'a program does not compile, or a Dovecot does not start'
    sum_up
    exit 1
}
client=$work/imapconnect
dovecot normal

# ---- the three modes ----

# in_mode MODE ARGS...: runs the client as joe in this mode, verified by our CA.
in_mode() {
    mode=$1
    shift
    run -u "$USER" -p "$PASSWORD" -s "$mode" -C "$CAFILE" "$@"
}

# Where the server of this mode is.
address() {
    case $1 in 1 | tls) echo "$HOST:$IMAPS_PORT" ;; *) echo "$HOST:$IMAP_PORT" ;; esac
}

for mode in 0 1 2 none tls starttls; do
    check "mode $mode"
    in_mode $mode -v -- "$(address $mode)" NOOP
    expect 0
    in_out '^[^* ][^ ]* OK .*Logged in'
    in_out '^[^* ][^ ]* OK NOOP completed'
    not_in_out 'BYE'
    not_in_out 'Logout'
    not_in_out "$(printf '\r')"
    in_log '^S: \* BYE'
    case $mode in
    0 | 1 | none | tls) expect_commands 'AUTHENTICATE NOOP LOGOUT' ;;
    *) expect_commands 'STARTTLS CAPABILITY AUTHENTICATE NOOP LOGOUT' ;;
    esac
    in_log '^C: [^ ]* AUTHENTICATE CRAM-MD5$'
    not_in_log '^C: [^ ]* LOGIN'
    secret_free "$USER" "$PASSWORD"
    end
done

check 'without -s it is tls'
run -u "$USER" -p "$PASSWORD" -C "$CAFILE" "$HOST:$IMAPS_PORT"
expect 0
end

check 'mode 0: the greeting is printed'
in_mode 0 -v -- "$(address 0)"
[ "$(head -n 1 "$work/out" | cut -c 1-5)" = '* OK ' ] || fails 'it is not the first line'
end

check 'the log has the whole of long lines'
grep -q '.\{300\}' "$work/out" || fails 'there is no long line to look at'
sed 's/^/S: /' "$work/out" >"$work/expected"
[ "$(grep -c . "$work/expected")" -ge 3 ] || fails 'too few responses'
while read -r line; do
    grep -aFxq -e "$line" "$work/err" || fails 'a response is not in the log as it came'
done <"$work/expected"
! grep -v '^C: \|^S: \|^\*: ' "$work/err" >/dev/null || fails 'a line without C:, S: or *:'
end

check 'mode 2: nothing from before TLS on standard output, all of it in the log'
in_mode 2 -v -- "$(address 2)"
expect 0
in_log '^S: \* OK \[CAPABILITY .* STARTTLS'
in_log '^S: [^* ][^ ]* OK Begin TLS'
not_in_out 'STARTTLS'
not_in_out 'Begin TLS'
in_out '^\* CAPABILITY .*AUTH='
end

check 'without -v nothing is on standard error'
in_mode 1 -- "$(address 1)" NOOP
expect 0
[ ! -s "$work/err" ] || fails 'there is something'
end

check 'two commands, in order'
in_mode 0 -v -- "$(address 0)" 'SELECT INBOX' 'SEARCH 1:2'
expect 0
expect_commands 'AUTHENTICATE SELECT SEARCH LOGOUT'
in_out "^\* $MESSAGES EXISTS"
in_out '^\* SEARCH 1 2$'
end

# ---- certificates ----

for mode in 1 2; do
    server=$(address $mode)
    check "mode $mode: CA from a folder"
    run -s $mode -u "$USER" -p "$PASSWORD" -C "$CADIR" "$server"
    expect 0
    end

    check "mode $mode: CA from a folder with other things in it"
    run -s $mode -u "$USER" -p "$PASSWORD" -C "$CERTS/cadir-mixed" "$server"
    expect 0
    end

    check "mode $mode: a CA that did not make the certificate"
    run -v -s $mode -u "$USER" -p "$PASSWORD" -C "$CERTS/ca-other.pem" "$server"
    expect 1 1410
    not_in_log '^C: .* AUTHENTICATE'
    not_in_log '^C: .* LOGOUT'
    end

    check "mode $mode: the system's CAs do not know our CA"
    run -v -s $mode -u "$USER" -p "$PASSWORD" "$server"
    expect 1 '1410|1027'
    not_in_log '^C: .* AUTHENTICATE'
    end

    check "mode $mode: -k needs no CA"
    run -v -k -s $mode -u "$USER" -p "$PASSWORD" "$server"
    expect 0
    in_log '^C: .* AUTHENTICATE CRAM-MD5$'
    end

    check "mode $mode: -k, and a CA that did not make the certificate"
    run --no-verify -s $mode -u "$USER" -p "$PASSWORD" -C "$CERTS/ca-other.pem" "$server"
    expect 0
    end

    check "mode $mode: -k, and a CA that is not there"
    run -k -s $mode -u "$USER" -p "$PASSWORD" -C "$work/nothing" "$server"
    expect 0
    end
done

check 'words of a server that is not verified are marked'
run -k -u "$USER" -p wrong "$(address 1)"
expect 1 1270
in_log '^imapconnect: .*someone on the way'
end

check 'mode 0: -C and -k are without effect'
run -k -s 0 -u "$USER" -p "$PASSWORD" -C "$work/nothing" "$(address 0)"
expect 0
run -s 0 -u "$USER" -p "$PASSWORD" -C "$CERTS/empty.pem" "$(address 0)"
expect 0
end

# A port where nobody listens, any more.
server !
closed=$port
"$client" -s 0 -u x -p x "127.0.0.1:$closed" >/dev/null 2>&1
server_ends

# The CA is looked at before anything is connected: with a closed port it is still the CA's number.
while read -r number path what; do
    check "$what"
    run -u x -p x -C "$path" "127.0.0.1:$closed"
    expect 1 "$number"
    end
done <<END
1027 $CERTS/cadir-empty a folder without a CA
1027|1029 $work/nothing a CA path where nothing is
1029 $CERTS/empty.pem an empty CA file
1029 $CERTS/broken.pem a broken CA file
END

# ---- logging in ----

for mode in 0 1 2; do
    check "mode $mode: wrong password"
    run -v -s $mode -u "$USER" -p 'wrong pass' -C "$CAFILE" "$(address $mode)" NOOP
    expect 1 1270
    in_log '^C: [^ ]* AUTHENTICATE CRAM-MD5$'
    in_log '^C: [^ ]* LOGIN '
    not_in_log 'NOOP'
    not_in_log 'LOGOUT'
    grep -q '^imapconnect: .*said: NO' "$work/err" || fails "the server's words are missing"
    case $mode in
    0) in_log '^imapconnect: .*someone on the way' ;;
    *) not_in_log '^imapconnect: .*someone on the way' ;;
    esac
    secret_free "$USER" 'wrong pass'
    end
done

# log_in VARIANT USER PASSWORD COMMANDS NAME: in all modes.
log_in() {
    dovecot "$1"
    for mode in 0 1 2; do
        check "$5, mode $mode"
        run -v -s $mode -u "$2" -p "$3" -C "$CAFILE" "$(address $mode)"
        expect 0
        starttls=
        [ $mode -ne 2 ] || starttls='STARTTLS CAPABILITY '
        expect_commands "$starttls$4 LOGOUT"
        [ ${#3} -lt 4 ] || secret_free "$2" "$3"
        end
    done
}

log_in login-only "$USER" "$PASSWORD" LOGIN 'LOGIN where CRAM-MD5 is not offered'
log_in normal "$HASHED_USER" "$HASHED_PASSWORD" 'AUTHENTICATE LOGIN' 'CRAM-MD5 is refused, then LOGIN'
for variant in normal login-only; do
    way=AUTHENTICATE
    [ $variant = normal ] || way=LOGIN
    log_in $variant "$QUOTE_USER" "$QUOTE_PASSWORD" $way "quotes, backslashes, spaces by $way"
    log_in $variant "$UTF8_USER" "$UTF8_PASSWORD" $way "8-bit by $way"
    log_in $variant "$LONG_USER" "$LONG_PASSWORD" $way "255 bytes by $way"
    log_in $variant "$EMPTY_USER" "$EMPTY_PASSWORD" $way "an empty password by $way"
done

dovecot logindisabled
check 'LOGINDISABLED: no way in'
run -v -s 0 -u "$USER" -p "$PASSWORD" "$(address 0)"
expect 1 1264
not_in_log '^C: .* LOGIN'
not_in_log '^C: .* AUTHENTICATE'
not_in_log '^C: .* LOGOUT'
end
for mode in 1 2; do
    check "LOGINDISABLED until TLS is up, mode $mode"
    run -v -s $mode -u "$USER" -p "$PASSWORD" -C "$CAFILE" "$(address $mode)"
    expect 0
    in_log '^C: .* AUTHENTICATE CRAM-MD5$'
    end
done

dovecot no-starttls
check 'mode 2 without STARTTLS on the server'
run -v -s 2 -u "$USER" -p "$PASSWORD" -C "$CAFILE" "$(address 2)"
expect 1 1265
not_in_log '^C: .* AUTHENTICATE'
not_in_log '^C: .* LOGIN'
[ ! -s "$work/out" ] || fails 'something from before TLS was printed'
end
dovecot normal

long=$(awk 'BEGIN { for (i = 0; i < 256; i++) printf "p" }')
newline='
'
# Before connecting: with a closed port it is still the number of the parameter.
check 'a password of 256 bytes'
run -s 0 -u joe -p "$long" "127.0.0.1:$closed"
expect 1 1269
end
check 'a password of 3,000 bytes'
run -s 0 -u joe -p "$long$long$long$long$long$long$long$long$long$long$long$long" "127.0.0.1:$closed"
expect 1 1269
end
check 'a user name of 256 bytes'
run -s 0 -u "$long" -p x "127.0.0.1:$closed"
expect 1 1269
end
check 'LF in the password'
run -s 0 -u joe -p "a${newline}b" "127.0.0.1:$closed"
expect 1 503
end
check 'CR in the password'
run -s 0 -u joe -p "a$(printf '\r')b" "127.0.0.1:$closed"
expect 1 503
end
check 'LF in the user name'
run -s 0 -u "joe${newline}" -p x "127.0.0.1:$closed"
expect 1 503
end

# ---- what leaves the machine ----

hello='* OK [CAPABILITY IMAP4rev1 AUTH=CRAM-MD5] hello\r\n'
plain='* OK [CAPABILITY IMAP4rev1] hello\r\n'
in_='%t OK [CAPABILITY IMAP4rev1] in\r\n'
bye='* BYE bye\r\n'
out='%t OK out\r\n'

check 'CRAM-MD5 of RFC 2195'
server "$hello" '<' '+ PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+\r\n' '<' "$in_" '<' "$bye" "$out"
run -v -s 0 -u tim -p tanstaaftanstaaf "127.0.0.1:$port"
server_ends
expect 0
in_sent dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw
not_in_sent LOGIN
not_in_log dGltIGI5MTNhNjAyYzdlZGE3YTQ5
not_in_log b913a602c7eda7a4
in_log '^C: \*\*\*$'
secret_free tim tanstaaftanstaaf
end

check 'LOGINDISABLED, and CRAM-MD5 is offered'
server '* OK [CAPABILITY IMAP4rev1 LoginDisabled AUTH=cram-md5] hello\r\n' '<' '%t NO no\r\n'
run -v -s 0 -u tim -p tanstaaf "127.0.0.1:$port"
server_ends
expect 1 1270
in_sent 'AUTHENTICATE CRAM-MD5'
not_in_sent LOGIN
not_in_sent tanstaaf
end

check 'LOGIN quotes its arguments'
server "$plain" '<' "$in_" '<' "$bye" "$out"
run -v -s 0 -u 'jo "e' -p 'pass\"word ' "127.0.0.1:$port"
server_ends
expect 0
in_sent ' LOGIN "jo \"e" "pass\\\"word "'
in_log '^C: [^ ]* LOGIN '
secret_free 'jo "e' 'pass\"word '
end

check 'LOGIN with empty arguments'
server "$plain" '<' "$in_" '<' "$bye" "$out"
run -s 0 -u '' -p '' "127.0.0.1:$port"
server_ends
expect 0
in_sent ' LOGIN "" ""'
end

check 'LOGIN with 8-bit bytes: a literal'
server "$plain" '<' '+ go\r\n' '<' "$in_" '<' "$bye" "$out"
run -v -s 0 -u joe -p 'pässwörd' "127.0.0.1:$port"
server_ends
expect 0
in_sent ' LOGIN "joe" {10}'
in_sent 'pässwörd'
secret_free joe 'pässwörd'
not_in_log 'xC3'
end

check 'no byte of a literal without +'
server "$plain" '<' '%t NO no\r\n'
run -v -s 0 -u joe -p 'pässwörd' "127.0.0.1:$port"
server_ends
expect 1 1270
in_sent ' {10}'
not_in_sent 'rd'
end

# ---- the server's name ----

check 'a name'
if getent hosts localhost >/dev/null 2>&1; then
    run -u "$USER" -p "$PASSWORD" -C "$CAFILE" "localhost:$IMAPS_PORT"
    expect 0
else
    name="$name # skipped: this machine does not know localhost"
fi
end

if [ -n "$HOST6" ]; then
    for mode in 0 1 2; do
        check "IPv6, mode $mode"
        port=$IMAP_PORT
        [ $mode -ne 1 ] || port=$IMAPS_PORT
        run -s $mode -u "$USER" -p "$PASSWORD" -C "$CAFILE" "[$HOST6]:$port"
        expect 0
        end
    done
fi

check 'a port where nobody listens'
run -s 0 -u joe -p x "127.0.0.1:$closed"
expect 1 10061
end

check 'a host that does not exist'
run -t 5 -s 0 -u joe -p x 'no-such-host.invalid:20143'
# Where the name server is dead too, the time limit ends it.
expect 1 '1100[1-4]|1034'
end

host254=$(awk 'BEGIN { for (i = 0; i < 63; i++) printf "aaa."; print "ab" }')
while read -r server; do
    check "bad server: '$(printf %.60s "$server")'"
    run -s 0 -u joe -p x -- "$(printf '%b' "$server")"
    expect 1 503
    end
done <<END

:
:$IMAP_PORT
127.0.0.1:
localhost:
127.0.0.1:0
127.0.0.1:00000
127.0.0.1:65536
127.0.0.1:99999
127.0.0.1:000143
127.0.0.1:0$IMAP_PORT
127.0.0.1:imap
127.0.0.1:${IMAP_PORT}x
127.0.0.1:+143
127.0.0.1:-143
127.0.0.1:$IMAP_PORT:$IMAP_PORT
127.0.0.1\0040:$IMAP_PORT
-
-host
-127.0.0.1:$IMAP_PORT
two words
joe@localhost:$IMAP_PORT
imap://localhost
localhost/
local\012host
\0303\0266rtlich
[::1
[::1]:
[::1]$IMAP_PORT
[::1]:x
[]:$IMAP_PORT
[localhost]:$IMAP_PORT
::1::
:::
$host254
$host254:$IMAP_PORT
END

# ---- time ----

check 'a connect without an answer'
server full
timed run -t 1 -s 0 -u joe -p x "127.0.0.1:$port"
expect 1 1034
took 950 3000
end

for mode in 0 1 2; do
    check "a silent server, mode $mode"
    server '<' '<' '<'
    timed run -t 1 -s $mode -u joe -p x -C "$CAFILE" "127.0.0.1:$port" NOOP
    expect 1 522
    took 950 3000
    end
done

check 'a silent server in the handshake after STARTTLS'
server '* OK [CAPABILITY IMAP4rev1 STARTTLS AUTH=CRAM-MD5] hello\r\n' '<' '%t OK go\r\n'
timed run -t 1 -s 2 -u joe -p x -C "$CAFILE" "127.0.0.1:$port" NOOP
server_ends
expect 1 522
took 950 3000
in_sent STARTTLS
[ ! -s "$work/out" ] || fails 'something from before TLS was printed'
end

check 'bytes that arrive slowly do not make the limit longer'
server '* OK ' '.200'
timed run -t 1 -s 0 -u joe -p x "127.0.0.1:$port"
expect 1 522
took 950 3000
end

check 'a command without an answer: nothing more is sent'
server "$plain" '<' "$in_" '<'
timed run -v -t 1 -s 0 -u joe -p xyzzy "127.0.0.1:$port" 'SELECT a' 'SELECT b'
server_ends
expect 1 522
took 950 3000
in_sent 'SELECT a'
not_in_sent 'SELECT b'
not_in_sent LOGOUT
end

check 'LOGOUT without an answer'
server "$plain" '<' "$in_" '<'
timed run -t 1 -s 0 -u joe -p xyzzy "127.0.0.1:$port"
expect 1 522
took 950 3000
end

check 'the limit is for each step and not for all'
server '~900' "$plain" '<' '~900' "$in_" '<' '~900' '%t OK done\r\n' '<' "$bye" "$out"
run -t 2 -s 0 -u joe -p xyzzy "127.0.0.1:$port" NOOP
expect 0
end

# ---- commands ----

# refused NUMBER COMMAND: nothing of it is sent, nor anything after it.
refused() {
    check "refused: $(printf %s "$2" | tr '\n' '~')"
    run -v -s 0 -u "$USER" -p "$PASSWORD" "$(address 0)" "$2" NOOP
    expect 1 "$1"
    expect_commands AUTHENTICATE
    end
}
for word in LOGOUT 'LOGIN x y' 'AUTHENTICATE PLAIN' STARTTLS 'COMPRESS DEFLATE' IDLE logout 'Login x y' idle; do
    refused 1420 "$word"
done
refused 1421 'SEARCH {5}'
refused 1421 'SEARCH {5+}'
refused 1421 'APPEND INBOX ~{5}'
refused 503 ''
refused 503 ' NOOP'
refused 503 "NOOP${newline}"
refused 503 "NOOP$(printf '\r')x"

check 'a refused command: not a byte of it on the wire'
server "$plain" '<' "$in_" '<'
run -s 0 -u joe -p xyzzy "127.0.0.1:$port" 'IDLE' NOOP
server_ends
expect 1 1420
[ "$(grep -c . "$work/sent")" -eq 1 ] || fails 'more than the login was sent'
in_sent LOGIN
end

check 'NO to a command: only LOGOUT follows'
in_mode 0 -v -- "$(address 0)" 'SELECT nosuch' NOOP
expect 1 1414
expect_commands 'AUTHENTICATE SELECT LOGOUT'
in_log "^imapconnect: .*said: NO Mailbox doesn't exist"
tail -n 1 "$work/err" | grep -q '^imapconnect: IMAPCONNECT_E_NO (-1414): ' || fails 'the last line has another name'
in_out "^[^* ][^ ]* NO .*doesn't exist"
end

check 'BAD to a command: only LOGOUT follows'
in_mode 0 -v -- "$(address 0)" NONSENSE NOOP
expect 1 1415
expect_commands 'AUTHENTICATE NONSENSE LOGOUT'
tail -n 1 "$work/err" | grep -q '^imapconnect: IMAPCONNECT_E_BAD (-1415): ' || fails 'the last line has another name'
end

check 'an option behind SERVER is a command'
in_mode 0 -- "$(address 0)" -v
expect 1 1415
not_in_log '^C:'
end

check 'NO, and LOGOUT fails too: the first number counts'
server "$plain" '<' "$in_" '<' '%t NO first\r\n' '<' '%t BAD second\r\n'
run -s 0 -u joe -p xyzzy "127.0.0.1:$port" CHECK
server_ends
expect 1 1414
in_sent LOGOUT
in_log 'first'
not_in_log 'second'
end

check 'a wrong reply to LOGOUT'
server "$plain" '<' "$in_" '<' '%t BAD no\r\n'
run -s 0 -u joe -p xyzzy "127.0.0.1:$port"
expect 1 1272
end

check 'BYE in a command: nothing more is sent'
server "$plain" '<' "$in_" '<' '* BYE going down\r\n%t OK done\r\n'
run -s 0 -u joe -p xyzzy "127.0.0.1:$port" CHECK NOOP
server_ends
expect 1 1416
not_in_sent NOOP
not_in_sent LOGOUT
end

check 'the connection ends in a command'
server "$plain" '<' "$in_" '<' '* 1 EXI' '!'
run -s 0 -u joe -p xyzzy "127.0.0.1:$port" CHECK NOOP
expect 1 '1033|10054'
end

check 'the last line stands alone, also behind half a response'
server "$plain" '<' "$in_" '<' '* 1 EXI' '!'
timeout 30 "$client" -s 0 -u joe -p xyzzy "127.0.0.1:$port" CHECK >"$work/err" 2>&1
status=$?
no_report
expect 1 '1033|10054'
in_log '^\* 1 EXI$'
end

check 'a BYE greeting'
server '* BYE full\r\n'
run -s 0 -u joe -p xyzzy "127.0.0.1:$port"
server_ends
expect 1 1263
[ ! -s "$work/sent" ] || fails 'something was sent'
end

check 'a greeting that is none'
server '220 mail.example.org ESMTP\r\n'
run -s 0 -u joe -p xyzzy "127.0.0.1:$port"
server_ends
expect 1 1262
[ ! -s "$work/sent" ] || fails 'something was sent'
end

check 'PREAUTH, mode 0'
server '* PREAUTH [CAPABILITY IMAP4rev1] hello\r\n' '<' "$bye" "$out"
run -v -s 0 -u joe -p xyzzy "127.0.0.1:$port"
server_ends
expect 0
expect_commands LOGOUT
end

check "what the server says does not steer the terminal"
server "$plain" '<' "$in_" '<' '%t NO [X\x1b] \x1b[2J\x9b\x7f no\r\n' '<' "$bye" "$out"
run -v -s 0 -u joe -p xyzzy "127.0.0.1:$port" CHECK
expect 1 1414
! grep -aq "[$(printf '\033\177\233')]" "$work/err" || fails 'a control byte is on standard error'
in_log 'x1[Bb]'
end

# ---- literals ----

# The bytes that are expected, written by hand: line ends become LF, literals stay.
check 'literals are untouched, lines end in LF'
server "$plain" '<' "$in_" '<' \
    '* 1 FETCH (A {9}\r\na\r\nb\n\r\x00\x80\xff BODY[] {0}\r\n UID 7)\r\n* OK see {5}\r\n%t OK done\r\n' '<' "$bye" "$out"
run -s 0 -u joe -p xyzzy "127.0.0.1:$port" 'FETCH 1 (A BODY[] UID)'
server_ends
expect 0
# shellcheck disable=SC2046
set -- $(sed -n 's/^\([^ ]*\) .*/\1/p' "$work/sent")
{
    printf '* OK [CAPABILITY IMAP4rev1] hello\n%s OK [CAPABILITY IMAP4rev1] in\n' "$1"
    printf '* 1 FETCH (A {9}\na\r\nb\n\r\000\200\377 BODY[] {0}\n UID 7)\n* OK see {5}\n%s OK done\n' "$2"
} >"$work/expected"
cmp -s "$work/expected" "$work/out" || fails 'not the expected bytes'
end

# fetch_big NAME ARGS...: the message of 5 MB, byte for byte, and IMAP before and behind it.
fetch_big() {
    check "$1"
    shift
    run "$@" 'SELECT INBOX' "FETCH $BIG_NUMBER BODY[]"
    expect 0
    place=$(grep -a -b -o -m 1 "^\* $BIG_NUMBER FETCH (.*BODY\[\] {$BIG_SIZE}\$" "$work/out" | head -n 1)
    start=$((${place%%:*} + $(printf %s "${place#*:}" | wc -c) + 1))
    tail -c +$((start + 1)) "$work/out" | head -c "$BIG_SIZE" | cmp -s - "$BIG_FILE" || fails 'the message is not the same'
    tail -c +$((start + BIG_SIZE + 1)) "$work/out" >"$work/rest"
    sed -n 1p "$work/rest" | grep -q '^.\{0,100\})$' || fails 'no ) behind the message'
    sed -n 2p "$work/rest" | grep -q '^[^* ][^ ]* OK ' || fails 'no OK behind the message'
    [ "$(wc -l <"$work/rest")" -eq 2 ] || fails 'something more behind the message'
    [ "$(wc -c <"$BIG_FILE")" -eq "$BIG_SIZE" ] || fails 'the file has another size'
    [ "$BIG_SIZE" -ge 5242880 ] || fails 'the message is not 5 MB'
    end
}
for mode in 0 1 2; do
    client=$BUILD_DIR/imapconnect
    fetch_big "5 MB, mode $mode" -s $mode -u "$USER" -p "$PASSWORD" -C "$CAFILE" "$(address $mode)"
    client=$work/imapconnect
    fetch_big "5 MB, mode $mode, with sanitizers" -s $mode -u "$USER" -p "$PASSWORD" -C "$CAFILE" "$(address $mode)"
done
check 'the log has no bytes of the literal'
in_mode 1 -v -- "$(address 1)" 'SELECT INBOX' "FETCH $BIG_NUMBER BODY[]"
expect 0
[ "$(wc -c <"$work/err")" -le 20000 ] || fails "it has $(wc -c <"$work/err") bytes"
end

# ---- standard output that fails ----

# writes_fail: an error, and nothing is sent after it, not even LOGOUT.
writes_fail() {
    no_report
    expect 1 516
    in_log '^imapconnect: cannot write standard output'
    not_in_log '^C: [^ ]* LOGOUT'
}

check 'standard output is full'
timeout 30 "$client" -v -s 0 -u "$USER" -p "$PASSWORD" "$(address 0)" NOOP >/dev/full 2>"$work/err"
status=$?
writes_fail
end

check 'standard output is full after a while'
timeout 30 "$client" -v -s 0 -u "$USER" -p "$PASSWORD" "$(address 0)" 'SELECT INBOX' "FETCH $BIG_NUMBER BODY[]" \
    2>"$work/err" >/dev/full
status=$?
writes_fail
end

check 'a closed pipe'
{
    timeout 30 "$client" -v -s 1 -u "$USER" -p "$PASSWORD" -C "$CAFILE" "$(address 1)" 'SELECT INBOX' \
        "FETCH $BIG_NUMBER BODY[]" NOOP 2>"$work/err"
    echo $? >"$work/status"
} | head -n 3 >"$work/out"
status=$(cat "$work/status")
writes_fail
not_in_log ' NOOP'
end

check 'standard output is closed'
timeout 30 "$client" -v -s 0 -u "$USER" -p "$PASSWORD" "$(address 0)" NOOP 2>"$work/err" >&-
status=$?
writes_fail
end

# ---- the command line ----

# usage NAME ARGS...: exit status 2, a line of usage, and not a word on standard output.
usage() {
    check "bad usage: $1"
    shift
    run "$@"
    expect 2
    grep -q '^usage: imapconnect ' "$work/err" || fails 'no line of usage'
    [ ! -s "$work/out" ] || fails 'something on standard output'
    end
}
usage 'nothing at all'
usage 'no SERVER' -u joe -p xyzzy
usage 'no SERVER behind --' -u joe -p xyzzy --
usage 'unknown letter' -x host
usage 'unknown letter in a row' -kx host
usage 'unknown name' --nope host
usage 'a name that is cut short' --pass xyzzy host
usage 'a name that goes on' --verbosely host
usage 'a value for --verbose' --verbose=1 -u joe -p xyzzy host
usage 'no user' -p xyzzy host
usage 'no password, no terminal' -u joe host
for option in -u --user -p --password -s --secure -C --cacerts -t --timeout; do
    usage "$option without a value" -k $option
done
for mode in 3 -1 '' TLS ssl 01 '1 ' '2x' none,tls; do
    usage "MODE '$mode'" -u joe -p xyzzy -s "$mode" host
done
for seconds in 0 -1 '' x 5x ' 5' 1.5 1e2 0x10 99999999999 18446744073709551617; do
    usage "SECONDS '$seconds'" -u joe -p xyzzy -t "$seconds" host
done

check 'a password with a mistake in the option is not shown'
run --passwort=xyzzy -u joe host
expect 2
not_in_log xyzzy
end

# accepted NAME ARGS...: a way to write the options; the server sees user joe, password xyzzy.
accepted() {
    check "accepted: $1"
    shift
    server "$plain" '<' "$in_" '<' "$bye" "$out"
    run "$@" "127.0.0.1:$port"
    server_ends
    expect 0
    in_sent ' LOGIN "joe" "xyzzy"'
    end
}
accepted 'short options' -u joe -p xyzzy -s 0 -t 5
accepted 'short options, values joined' -ujoe -pxyzzy -s0 -t5 -C/nothing
accepted 'long options' --user joe --password xyzzy --secure none --timeout 5 --cacerts /nothing --no-verify --verbose
accepted 'long options with =' --user=joe --password=xyzzy --secure=0 --timeout=5 --cacerts=/nothing
accepted 'letters in a row' -kvs0 -ujoe -p xyzzy
accepted 'the last one counts' -u jim -p abcde -s 2 -u joe -p xyzzy -s none
accepted 'options ended by --' -u joe -p xyzzy -s 0 --
IMAPCONNECT_USER=joe IMAPCONNECT_PASSWORD=xyzzy
export IMAPCONNECT_USER IMAPCONNECT_PASSWORD
accepted 'user and password from the environment' -s 0
IMAPCONNECT_USER=jim IMAPCONNECT_PASSWORD=abcde
accepted 'options before the environment' -s 0 -u joe -p xyzzy
unset IMAPCONNECT_USER IMAPCONNECT_PASSWORD

check 'a value may begin with -'
server "$plain" '<' "$in_" '<' "$bye" "$out"
run -s 0 -u -k -p --verbose "127.0.0.1:$port"
server_ends
expect 0
in_sent ' LOGIN "-k" "--verbose"'
end

check '--help'
run --help
expect 0
[ ! -s "$work/err" ] || fails 'something on standard error'
for option in '-u, --user' '-p, --password' '-s, --secure' '-k, --no-verify' '-C, --cacerts' '-t, --timeout' \
    '-v, --verbose'; do
    grep -q -e " $option" "$work/out" || fails "nothing about $option"
done
cp "$work/out" "$work/help"
run -h
expect 0
cmp -s "$work/out" "$work/help" || fails '-h says something else'
end

check '--version'
run --version
expect 0
in_out '^imapconnect [0-9][0-9.]*$'
end

check 'the password is wiped from the arguments'
server '* OK hello\r\n' '<' '~4000'
"$client" -t 10 -s 0 -u visible -p hidden-word --password=hidden-twice "127.0.0.1:$port" >"$work/out" 2>"$work/err" &
pid=$!
tries=0
until [ -s "$work/sent" ] || [ $tries -ge 100 ]; do
    tries=$((tries + 1))
    sleep 0.05
done
tr '\0' ' ' <"/proc/$pid/cmdline" >"$work/cmdline"
kill $pid
wait $pid 2>/dev/null
grep -q visible "$work/cmdline" || fails 'the arguments could not be seen'
! grep -q hidden "$work/cmdline" || fails 'it is still there'
end

# ---- the terminal ----

# on_terminal TYPED COMMAND: runs a shell command on a terminal of its own, and types when it asks for the password.
on_terminal() {
    : >"$work/tty"
    # The file is written by one end of the pipe and watched by the other.
    # shellcheck disable=SC2094
    {
        tries=0
        until grep -q 'Password: ' "$work/tty" || [ $tries -ge 100 ]; do
            tries=$((tries + 1))
            sleep 0.05
        done
        sleep 0.2
        printf %b "$1"
        until grep -q 'status=' "$work/tty" || [ $tries -ge 200 ]; do
            tries=$((tries + 1))
            sleep 0.05
        done
        sleep 0.2
    } | timeout 30 script -qec "$2" /dev/null >"$work/tty" 2>/dev/null
    tr -d '\r' <"$work/tty" >"$work/out"
    : >"$work/err"
}

if script -qec true /dev/null >/dev/null 2>&1 </dev/null; then
    check 'the password is asked for, and not shown'
    server "$plain" '<' "$in_" '<' "$bye" "$out"
    on_terminal 'xyzzy\n' "'$client' -s 0 -u joe 127.0.0.1:$port </dev/null; echo status=\$?; stty -a"
    server_ends
    in_sent ' LOGIN "joe" "xyzzy"'
    in_out 'Password: '
    in_out 'status=0'
    not_in_out xyzzy
    in_out '[ ;]echo[ ;]'
    end

    check 'Ctrl-C at the password: the terminal is as before'
    on_terminal '\003' "trap : INT; '$client' -s 0 -u joe 127.0.0.1:$closed; echo status=\$?; stty -a"
    in_out 'status=130'
    in_out '[ ;]echo[ ;]'
    end

    check 'Ctrl-D at the password is bad usage'
    on_terminal '\004' "'$client' -s 0 -u joe 127.0.0.1:$closed; echo status=\$?"
    in_out 'status=2'
    in_out '^usage: '
    end

    check 'an empty password may be typed'
    server "$plain" '<' "$in_" '<' "$bye" "$out"
    on_terminal '\n' "'$client' -s 0 -u joe 127.0.0.1:$port; echo status=\$?"
    server_ends
    in_sent ' LOGIN "joe" ""'
    in_out 'status=0'
    end
else
    echo '# skipped: the password on a terminal; this machine gives no pseudo-terminal'
fi

# ---- the examples ----

: >"$work/err"
for example in blocking poll; do
    client=$work/$example
    check "$example.c: connects and asks"
    run "$HOST:$IMAPS_PORT" "$USER" "$PASSWORD" "$CAFILE"
    expect 0
    in_out "^\* STATUS \"\{0,1\}INBOX\"\{0,1\} (MESSAGES $MESSAGES UNSEEN [0-9]*)"
    end

    check "$example.c: wrong password"
    run "$HOST:$IMAPS_PORT" "$USER" wrong "$CAFILE"
    expect 1
    in_log '(-1270)'
    end

    check "$example.c: a CA that did not make the certificate"
    run "$HOST:$IMAPS_PORT" "$USER" "$PASSWORD" "$CERTS/ca-other.pem"
    expect 1
    in_log '(-1410)'
    end

    check "$example.c: nobody listens"
    run "127.0.0.1:$closed" "$USER" "$PASSWORD" "$CAFILE"
    expect 1
    in_log '(-10061)'
    end
done
client=$work/transport
check 'transport.c'
run
expect 0
in_out '^[^ ]* AUTHENTICATE CRAM-MD5'
in_out '^dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw'
in_out '^0: logged in by CRAM-MD5$'
in_out '^\* 3 EXISTS'
in_out '^[^ ]* LOGOUT'
not_in_out tanstaaf
end

for example in blocking poll transport; do
    check "$example.c is under 80 lines"
    [ "$(wc -l <"examples/$example.c")" -lt 80 ] || fails "$(wc -l <"examples/$example.c") lines"
    end
done

sum_up
