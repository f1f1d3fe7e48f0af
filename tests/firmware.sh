#!/bin/sh
# firmware.sh: does examples/firmware, a Cortex-M3 image with lwIP and wolfSSL, read mail from Dovecot over verified TLS,
# within its budgets, and is it refused by those who are not the server? It runs in QEMU, whose network reaches nothing
# here but the servers on loopback.
#
# Every check is one line `ok NAME` or `not ok NAME - why`; the last line is `N passed, N failed`.
set -u

# The budgets, in bytes: what was measured, and a little more. The whole program: imapconnect.h, wolfSSL, lwIP, driver.
budget_flash=182272      # measured 176,616
budget_static=10240      # RAM with a fixed place, but for stack and heap: measured 9,704
budget_stack=3072        # measured 2,672 to 2,848, to verify a signature by RSA-4096
budget_session=1536      # measured 1,536
budget_connect=17408     # heap of wolfSSL while connecting, certificate and CA on P-256: measured 15,800 to 16,232
budget_connect_rsa=18432 # the same with RSA-2048: measured 17,704
budget_receive=5632      # heap while 5 MB pass, in records of 1 KB: measured 5,088
budget_records=23552     # heap when the server sends a record of 16 KB, chain of RSA-4096: measured 22,376
budget_instructions=20000000 # to connect, with all the cryptography: measured some 12,000,000

cd "$(dirname "$0")/.." || exit 1
BUILD_DIR=${BUILD_DIR:-$PWD/build}
mkdir -p "$BUILD_DIR"
work=$(mktemp -d "$BUILD_DIR/firmware.XXXXXX") || exit 1
chmod 755 "$work"
work=$(cd "$work" && pwd)
sources=$BUILD_DIR/firmware
# shellcheck source=tests/check.sh
. tests/check.sh
emulator='' emulator_options='' server='' most_rsa=0 most_records=0

finish() {
    [ -z "$emulator" ] || kill "$emulator" 2>/dev/null
    [ -z "$server" ] || kill "$server" 2>/dev/null
    sh tests/dovecot.sh stop "$work/dovecot"
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 1' HUP INT TERM

# give_up WHY
give_up() {
    not_ok "firmware" "$1"
    sum_up
    exit 1
}

# expect NAME VALUE EXPECTED
expect() {
    if [ "$2" = "$3" ]; then ok "$1"; else not_ok "$1" "it is '$2', expected '$3'" "$out"; fi
}

# at_most NAME VALUE BUDGET
at_most() {
    if [ -n "$2" ] && [ "$2" -le "$3" ]; then
        ok "$1: $2 of $3 bytes"
    else
        not_ok "$1" "${2:-nothing} bytes, the budget is $3" "$out"
    fi
}

# larger A B: the larger number of the two.
larger() {
    if [ "${1:-0}" -gt "${2:-0}" ]; then echo "$1"; else echo "${2:-0}"; fi
}

# same NAME FILE FILE
same() {
    if diff "$2" "$3" >"$work/diff" 2>&1; then ok "$1"; else not_ok "$1" "it differs" "$work/diff"; fi
}

# ---- the image ----

# Two images: one with heap for whatever comes, one for servers with certificates on P-256 and records of 1 KB.
usual=$work/usual.elf small=$work/small.elf
small_heap=17408

# build_image OUT OPTION...
build_image() {
    name=$1
    shift
    sh examples/firmware/make.sh "$sources" "$CERTS/ca.der" "$name" -DFIRMWARE_NO_REAL_RANDOM "$@" \
        >>"$work/build.out" 2>&1
}

# advised NAME TEXT OPTION...: board.c must not compile, and say why.
advised() {
    name=$1 text=$2
    shift 2
    if arm-none-eabi-gcc -mcpu=cortex-m3 -mthumb -fsyntax-only "$@" examples/firmware/board.c 2>"$work/advice"; then
        not_ok "$name" "it compiles"
    elif grep -q "#error.*\|error: .*$text" "$work/advice" && grep -q "$text" "$work/advice"; then
        ok "$name"
    else
        not_ok "$name" "no #error says '$text'" "$work/advice"
    fi
}

# ---- a run ----

# count_ms WORD...: a run in which each instruction takes 32 ns, however fast this machine is. Waiting counts, too: so
# the best of three is taken. The milliseconds of the connect are in $connect_ms.
count_ms() {
    connect_ms=999999 emulator_options='-icount shift=5,sleep=off'
    for _ in 1 2 3; do
        run "$@"
        ms=$(value 'time: ' ' ms, connect')
        [ "${ms:-999999}" -ge "$connect_ms" ] || connect_ms=$ms
    done
    emulator_options=
}

# start WORD...: the image begins, with these words behind its name; what it prints is in $out.
count=0
start() {
    count=$((count + 1))
    out=$work/run.$count
    words=
    for word; do
        words=$words,arg=$word
    done
    # $emulator_options is several words.
    # shellcheck disable=SC2086
    timeout -k 5 120 qemu-system-arm $emulator_options -M mps2-an385 -display none -serial none -monitor none \
        -nic user,model=lan9118 -chardev file,id=out,path="$out" -kernel "$image" \
        -semihosting-config enable=on,target=native,chardev=out,arg=firmware"$words" >"$out.qemu" 2>&1 &
    emulator=$!
}

# Waits for its end; the status is in $status, and what the lines say in variables.
end() {
    wait "$emulator"
    status=$?
    emulator=
    cat "$out.qemu" >>"$out"
    result=$(value 'result: ' '')
}

# value BEFORE AFTER: the number between the two, from what was printed.
value() {
    sed -n "s/^$1\\(-\\{0,1\\}[0-9]*\\)$2.*/\\1/p" "$out" | tail -n 1
}

# run WORD...
run() {
    start "$@"
    end
}

# until_says TEXT: waits until the image has printed it.
until_says() {
    tries=0
    until grep -q "$1" "$out" 2>/dev/null; do
        tries=$((tries + 1))
        [ $tries -le 900 ] && kill -0 "$emulator" 2>/dev/null || return 1
        sleep 0.1
    done
}

# ---- reading mail ----

hash_of() {
    sha256sum | sed 's/ .*//'
}

# The lines that the image must print when there are $1 messages. Numbers that depend on the compiler, the keys or the
# speed are N.
expected() {
    first=$(sed 's/$/\r/' "$STATE"/mail/cur/1700000001.* | hash_of)
    first_size=$(sed 's/$/\r/' "$STATE"/mail/cur/1700000001.* | wc -c)
    cat <<END_OF_TEXT
WARNING: the random numbers are the host's. Not for a product: write firmware_seed().
time: N ms, connect
heap: N bytes at most, within N of N, connect
logged in by CRAM-MD5
INBOX: $1 messages
message: 1, UID 1, $((first_size)) bytes, 13-Nov-2023 09:14:07 +0000, seen
message: 2, UID 2, $(size_of 1700000002) bytes, 14-Nov-2023 17:30:02 +0000, seen
message: 3, UID 3, $(size_of 1700000003) bytes, 15-Nov-2023 10:00:03 +0000
message: 4, UID 4, $(size_of 1700000004) bytes, 16-Nov-2023 12:00:01 +0000
message: 5, UID 5, $BIG_SIZE bytes, 17-Nov-2023 00:00:00 +0000
time: N ms, SELECT and list
received: $((first_size)) bytes, SHA-256 $first
received: $BIG_SIZE bytes, SHA-256 $(hash_of <"$BIG_FILE")
time: N ms, receive
heap: N bytes at most, within N of N, receive
idle: waiting
news: $(($1 + 1)) messages
time: N ms, in IDLE
watchdog: fed after N ms at most
stack: N of N bytes
heap: 0 bytes left in use
TCP: a window of 1024 bytes, segments of 512
session: N bytes
flash: N bytes
RAM: N bytes and N of stack
result: 0
END_OF_TEXT
}

# A message of Dovecot's folder as it must arrive, with CRLF.
size_of() {
    echo $(($(sed 's/$/\r/' "$STATE/mail/cur/$1".* | wc -c)))
}

# Another client puts a message into the mailbox.
append() {
    printf 'Subject: news\r\n\r\nHello.\r\n' >"$work/news.eml"
    IMAPCONNECT_PASSWORD=$PASSWORD "$BUILD_DIR/imapconnect" -u "$USER" -s tls -C "$CADIR" --mailbox INBOX \
        "$HOST:$IMAPS_PORT" append "$work/news.eml" >"$work/append.out" 2>&1
}

# read_mail NAME WORD...: all that the image can do. A message of 5 MB passes through a window of 1 KB.
read_mail() {
    name=$1
    shift
    start server=localhost:"$IMAPS_PORT" at=10.0.2.2 user="$USER" password="$PASSWORD" "$@"
    until_says '^idle: waiting'
    append
    appended=$?
    end
    expect "$name: the host puts a message into the mailbox" $appended 0
    expect "$name: status" $status 0
    sed -e '/^message:/b' -e '/^received:/b' -e '/left in use/b' \
        -e '/^\(time\|heap\|watchdog\|stack\|session\|flash\|RAM\):/s/[0-9]\{1,\}/N/g' "$out" >"$work/printed"
    expected 5 >"$work/expected"
    same "$name: what it prints, line by line" "$work/expected" "$work/printed"
}

# All the RAM that the image has taken.
ram() {
    echo $(($(value 'RAM: ' ' bytes') + $(value 'RAM: .* bytes and ' ' of stack')))
}

budgets() {
    image=$small
    read_mail 'records of 1 KB' records=small
    flash=$(value 'flash: ' ' bytes') static=$(value 'RAM: ' ' bytes') session=$(value 'session: ' ' bytes')
    heap_size=$(sed -n 's/^heap: .* of \([0-9]*\), connect$/\1/p' "$out")
    connect=$(value 'heap: ' ' bytes at most.*, connect')
    receive=$(value 'heap: ' ' bytes at most.*, receive')
    stack=$(value 'stack: ' ' of')
    small_ram=$(ram)
    static=$((${static:-0} - ${heap_size:-0}))
    at_most 'flash of the whole program' "$flash" $budget_flash
    at_most 'RAM with a fixed place, without the heap' "$static" $budget_static
    at_most 'the session' "$session" $budget_session
    at_most 'heap, connect' "$connect" $budget_connect
    at_most 'heap, 5 MB in records of 1 KB' "$receive" $budget_receive
    at_most 'stack' "$stack" $budget_stack
    most_ec=$connect most_stack=$stack stack_ec=$stack image=$usual
}

# ---- refused ----

# serve GREETING ARGUMENT...: openssl s_server, one connection; the port is in $port. What it decrypts is in $log.
serve() {
    log=$work/server.$count
    : >"$log"
    mkfifo "$log.in"
    exec 3<>"$log.in"
    printf '%s\r\n' "$1" >&3
    shift
    OPENSSL_CONF=$CERTS/openssl.cnf timeout 60 openssl s_server -naccept 1 -accept "127.0.0.1:0" "$@" \
        <&3 >"$log" 2>&1 &
    server=$!
    port='' tries=0
    while [ -z "$port" ] && [ $tries -lt 300 ]; do
        port=$(sed -n 's/^ACCEPT.*:\([0-9]*\)$/\1/p' "$log")
        [ -n "$port" ] || sleep 0.02
        tries=$((tries + 1))
    done
}

serve_end() {
    exec 3>&-
    kill "$server" 2>/dev/null
    wait "$server" 2>/dev/null
    server=
}

greeting='* OK [CAPABILITY IMAP4rev1 AUTH=CRAM-MD5] welcome'

# one_of VALUE ALLOWED...
one_of() {
    case " $2 " in *" $1 "*) return 0 ;; esac
    return 1
}

# refused NAME CODES ARGUMENT...: no connection to this server, and nothing told to it.
refused() {
    name=$1 codes=$2
    shift 2
    serve "$greeting" "$@"
    run server=localhost:"$port" at=10.0.2.2 user=joe password=secret
    serve_end
    if one_of "${result:-none}" "$codes" && [ $status -eq 1 ]; then
        ok "refused: $name, $result"
    else
        not_ok "refused: $name" "result ${result:-none}, expected $codes" "$out"
    fi
    if grep -aq 'AUTHENTICATE\|LOGIN\|CAPABILITY' "$log"; then
        not_ok "refused: $name: nothing is sent" "the server has a command" "$log"
    else
        ok "refused: $name: nothing is sent"
    fi
}

certificate() {
    echo "-cert $CERTS/$1.pem -key $CERTS/$1.key -cert_chain $CERTS/$1.pem"
}

refusals() {
    # Each is several words.
    # shellcheck disable=SC2046
    {
        refused 'the wrong name' -1407 $(certificate wrongname)
        refused 'an expired certificate' -1408 $(certificate expired)
        refused 'a certificate of tomorrow' -1409 $(certificate notyet)
        refused 'an unknown CA' -1410 $(certificate untrusted)
        refused 'no certificate: anonymous Diffie-Hellman' '-1031 -1411 -1412' -nocert -tls1_2 \
            -cipher ADH-AES256-GCM-SHA384:@SECLEVEL=0
        refused 'no certificate: anonymous, CBC' '-1031 -1411 -1412' -nocert -tls1_2 \
            -cipher ADH-AES128-SHA:@SECLEVEL=0
    }
}

# log_in_and_out NAME CERTIFICATE VERSION TEXT WORD...: a server that greets with TEXT and needs no password.
log_in_and_out() {
    name=$1 kind=$2 version=$3 text=$4
    shift 4
    # shellcheck disable=SC2046
    serve "* PREAUTH [CAPABILITY IMAP4rev1] $text" $(certificate "$kind") "-tls1_$version"
    start server=localhost:"$port" at=10.0.2.2 'do=login' "$@"
    tries=0
    until grep -aq 'LOGOUT' "$log" || [ $tries -gt 300 ]; do
        tries=$((tries + 1))
        sleep 0.05
    done
    printf '* BYE\r\na1 OK\r\n' >&3
    end
    serve_end
    expect "$name" "$result" 0
    connect=$(value 'heap: ' ' bytes at most.*, connect')
    usual_ram=$(ram)
}

rsa() {
    for version in 2 3; do
        log_in_and_out "RSA, TLS 1.$version" good-rsa $version hello records=small
        at_most "heap, RSA, TLS 1.$version" "$connect" $budget_connect_rsa
        stack=$(value 'stack: ' ' of')
        at_most "stack, RSA, TLS 1.$version" "$stack" $budget_stack
        most_rsa=$(larger "$connect" "$most_rsa") most_stack=$(larger "$stack" "$most_stack")
    done
}

# A chain with RSA-4096: $CERTS/rsa4096.pem is a server's certificate by an intermediate one with such a key.
make_rsa4096() {
    OPENSSL_CONF=$CERTS/openssl.cnf
    export OPENSSL_CONF
    openssl req -x509 -newkey rsa:4096 -noenc -keyout "$work/int.key" -out "$work/int.pem" -days 30 -sha384 \
        -subj /CN=intermediate -CA "$CERTS/ca.pem" -CAkey "$CERTS/ca.key" \
        -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign &&
        openssl req -x509 -key "$CERTS/good-rsa.key" -out "$work/leaf.pem" -days 30 -sha384 -subj /CN=server \
            -CA "$work/int.pem" -CAkey "$work/int.key" -addext basicConstraints=critical,CA:FALSE \
            -addext subjectAltName=DNS:localhost
    made=$?
    unset OPENSSL_CONF
    cat "$work/leaf.pem" "$work/int.pem" >"$CERTS/rsa4096.pem"
    cp "$CERTS/good-rsa.key" "$CERTS/rsa4096.key"
    return $made
}

rsa4096() {
    for version in 2 3; do
        log_in_and_out "RSA-4096, TLS 1.$version, one record" rsa4096 $version "$long"
        at_most "heap, RSA-4096, TLS 1.$version, one record" "$connect" $budget_records
        stack=$(value 'stack: ' ' of')
        at_most "stack, RSA-4096, TLS 1.$version" "$stack" $budget_stack
        most_stack=$(larger "$stack" "$most_stack") most_records=$(larger "$connect" "$most_records")
    done
}

# A line of 16,300 bytes is one record, but where the server has agreed to records of 1 KB.
large_records() {
    long=$(awk 'BEGIN { while (n++ < 1630) printf "0123456789" }')
    for version in 2 3; do
        log_in_and_out "a long line, TLS 1.$version, records of 1 KB" good $version "$long" records=small
        at_most "its heap, TLS 1.$version, records of 1 KB" "$connect" $budget_connect
        most_ec=$(larger "$connect" "$most_ec")
        log_in_and_out "a long line, TLS 1.$version, one record" good "$version" "$long"
        at_most "its heap, TLS 1.$version, one record" "$connect" $budget_records
        at_most "it needs more, TLS 1.$version" 16300 "${connect:-0}"
        most_records=$(larger "$connect" "$most_records")
    done
}

speed() {
    count_ms server=localhost:"$IMAPS_PORT" at=10.0.2.2 user="$USER" password="$PASSWORD" 'do=login'
    instructions=$((connect_ms * 31250))
    if [ $instructions -le $budget_instructions ]; then
        ok "connect: $instructions instructions of $budget_instructions"
    else
        not_ok "connect" "$instructions instructions, the budget is $budget_instructions" "$out"
    fi
}

# ---- when things are wrong ----

mishaps() {
    run server=localhost:"$IMAPS_PORT" at=10.0.2.2 user="$USER" password=wrong 'do=login'
    expect 'the wrong password' "$result" -1270
    run server=localhost:1 at=10.0.2.2 user="$USER" password="$PASSWORD"
    expect 'nobody listens' "$result" -10061
    # What one session leaves behind must not be in the way of the next one.
    run server=localhost:"$IMAPS_PORT" at=10.0.2.2 user="$USER" password="$PASSWORD" 'do=again'
    expect 'five sessions' "$result, $(grep -c '^logged in by CRAM-MD5' "$out")" '0, 5'
    expect 'five sessions: nothing is left in use' "$(value 'heap: ' ' bytes left in use')" 0
    # shellcheck disable=SC2046
    serve "$greeting" $(certificate good)
    start server=localhost:"$port" at=10.0.2.2 user=joe password=secret
    tries=0
    until grep -aq 'AUTHENTICATE' "$log" || [ $tries -gt 300 ]; do
        tries=$((tries + 1))
        sleep 0.05
    done
    serve_end
    end
    expect 'the server dies' "$result" -1418
    # DNS is asked, at a server that does not know this name or is not there.
    # The waiting is longer than the watchdog would, with a clock that does not run while this machine does other things.
    emulator_options='-icount shift=5,sleep=off'
    run server=nobody.invalid user="$USER" password="$PASSWORD" watchdog=1
    emulator_options=
    expect 'a name that is not there' "$result" -11001
    waited=$(value 'time: ' ' ms, connect')
    expect 'to wait for it took longer than the watchdog waits' $((${waited:-0} > 1500)) 1
    run server=localhost:"$IMAPS_PORT" at=10.0.2.2 user="$USER" password="$PASSWORD" clock=0
    expect 'a clock that was never set' "$result" -1409
    run server=localhost 'do=hang' watchdog=1
    expect 'the watchdog' "$(grep -c 'panic: nobody feeds the watchdog' "$out")" 1
    expect 'the watchdog: status' $status 3
    run server=localhost 'do=deep'
    expect 'a stack that is full' "$(grep -c 'panic: fault' "$out")" 1
}

# ---- README.md ----

# figure WHAT MEASURED: README.md's line says as much, or up to a tenth more: it varies a little with the keys.
figure() {
    shown=$(sed -n "s/^| $1 | \\([0-9,]*\\) |\$/\\1/p" README.md | tr -d ,)
    if [ "${shown:-0}" -ge "${2:-1}" ] && [ "${shown:-0}" -le $((${2:-1} + ${2:-1} / 10)) ]; then
        ok "README.md: $1: $shown"
    else
        not_ok "README.md: $1" "it says '$shown', measured is $2"
    fi
}

# They depend on the compiler: asked is only where they were taken.
figures() {
    case $(arm-none-eabi-gcc -dumpversion) in 12.*) ;; *)
        ok 'figures # skipped: they were taken with gcc 12'
        return
        ;;
    esac
    figure 'flash, all of it' "$flash"
    figure 'RAM with a fixed place: session, lwIP, driver, program' "$static"
    figure 'stack, at most: RSA-4096' "$most_stack"
    figure 'stack, certificates on P-256' "$stack_ec"
    figure 'heap of wolfSSL while connecting, certificates on P-256' "$most_ec"
    figure 'heap of wolfSSL while connecting, certificates with RSA-2048' "$most_rsa"
    figure 'heap of wolfSSL while mail is read, records of 1 KB' "$receive"
    figure 'heap of wolfSSL, chain of RSA-4096, records of 16 KB' "$most_records"
    figure 'RAM in all, heap for P-256 and records of 1 KB' "$small_ram"
    figure 'RAM in all, heap for chains of RSA-4096 and records of 16 KB' "$usual_ram"
}

# ---- together ----

TZ=UTC
export TZ
sh tests/dovecot.sh start "$work/dovecot" || give_up 'Dovecot does not start'
# shellcheck disable=SC1091
. "$work/dovecot/env"
[ -x "$BUILD_DIR/imapconnect" ] || give_up 'build/imapconnect is missing: ./build.sh build'
out=$work/build.out
# Before the image, whose clock begins when it is built.
make_rsa4096 >"$out" 2>&1 || give_up 'openssl makes no chain with RSA-4096'
if ! sh tests/sources.sh wolfssl "$sources" >"$work/build.out" 2>&1 ||
    ! sh tests/sources.sh lwip "$sources" >>"$work/build.out" 2>&1 || ! build_image "$usual" ||
    ! build_image "$small" -DFIRMWARE_HEAP_SIZE=$small_heap; then
    cat "$work/build.out"
    give_up 'the image cannot be built'
fi
ok 'the images are built'
advised 'random numbers are not forgotten' 'no source of random numbers' -DFIRMWARE_BUILD_TIME=0
advised 'the time is not forgotten' 'when the image was built' -DFIRMWARE_NO_REAL_RANDOM
budgets
[ $failed -eq 0 ] || give_up 'the image does not do its work: the rest would say the same, and take long'
rsa
large_records
rsa4096
speed
refusals
mishaps
figures
sum_up
