#!/bin/sh
# tls.sh: TLS against servers that are right, wrong, weak, or lying.
#
#   openssl s_server   serves each certificate of certs/make.sh, and each weak suite; what it decrypts is looked through
#   tests/liar.c       plays the attacks on STARTTLS, on the protocol and on our patience
#   tests/tls_probe.c  is the client, over a transport that keeps each byte
#   tests/tls_naive.c  is wolfSSL without the library: the control that a refused server does work
#
# Every check is one line `ok NAME` or `not ok NAME - why`; the last line is `N passed, N failed`.
set -u

cd "$(dirname "$0")/.." || exit 1
BUILD_DIR=${BUILD_DIR:-build}
mkdir -p "$BUILD_DIR"
work=$(mktemp -d "$BUILD_DIR/tls.XXXXXX") || exit 1
work=$(cd "$work" && pwd)
certs=$work/certs bin=$work
# shellcheck source=tests/check.sh
. tests/check.sh
server='' count=0 groups=''

finish() {
    for pid in $groups; do
        kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null
    done
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 1' HUP INT TERM

# check NAME WHY: ok when WHY is empty.
check() {
    if [ -z "$2" ]; then ok "$1"; else not_ok "$1" "$2"; fi
}

# picked NAME: with TLS_CHECK, a pattern, in the environment only what fits is done of what certificates, CAs and lies there
# are; checks of another kind in the same part say nothing then.
picked() {
    # A pattern.
    # shellcheck disable=SC2254
    case $1 in
    ${TLS_CHECK:-*}) return 0 ;;
    esac
    return 1
}

# one_of VALUE ALLOWED...
one_of() {
    value=$1
    shift
    for allowed; do
        [ "$value" != "$allowed" ] || return 0
    done
    return 1
}

compile() {
    out=$1
    shift
    [ ! -x "$bin/$out" ] || return 0
    # -g -O1 with the sanitizers for what holds the library: a leaked WOLFSSL object is an error, too.
    gcc -std=c99 -D_POSIX_C_SOURCE=200809L -O1 -g "$@" -o "$bin/$out" -lwolfssl || {
        not_ok "compile $out" "the compiler has refused it"
        sum_up
        exit 1
    }
}

# ---- the client ----

no_report() {
    number='' code='' phase='' encrypted='' mechanism='' skipped='' opens='' closes='' plain='' hello='' after=''
    secret='' sni='' versions='' suites='' verdict='' elapsed='' open='' last='' ctx='' alpn='' written='' resumed=''
}
no_report

# probe ARGUMENTS: runs the client and takes its report apart.
probe() {
    no_report
    timeout 20 "$bin/tls_probe" "$@" >"$work/probe.out" 2>"$work/probe.err"
    status=$?
    while read -r key a b c d e f g; do
        case $key in
        RESULT) number=$a code=$b phase=$d encrypted=$e mechanism=$f skipped=$g last=$a ;;
        COMMAND) last=$a code=$b phase=$c open=$d ;;
        TIME) elapsed=$a ;;
        CHECKS) verdict="$a${b:+ $b}${c:+ $c}${d:+ $d}${e:+ $e}${f:+ $f}${g:+ $g}" ;;
        CTX) ctx=$a ;;
        TICKET) resumed=$b ;;
        WIRE)
            for pair in $a $b $c $d $e $f $g; do
                case $pair in
                opens=*) opens=${pair#*=} ;;
                closes=*) closes=${pair#*=} ;;
                plain=*) plain=${pair#*=} ;;
                hello=*) hello=${pair#*=} ;;
                written=*) written=${pair#*=} ;;
                after=*) after=${pair#*=} ;;
                secret=*) secret=${pair#*=} ;;
                alpn=*) alpn=${pair#*=} ;;
                sni=*) sni=${pair#*=} ;;
                versions=*) versions=${pair#*=} ;;
                suites=*) suites=${pair#*=} ;;
                esac
            done
            ;;
        esac
    done <"$work/probe.out"
}

# What the client must have done in every case; the answer is in $why.
sound() {
    why=''
    if [ "$status" -gt 1 ]; then
        why="the client ended with status $status: $(head -c 300 "$work/probe.err" | tr '\n' ' ')"
    elif [ "$verdict" != clean ]; then
        why="$verdict"
    elif [ "$opens" != "$closes" ]; then
        why="opened $opens, closed $closes"
    elif [ "$last" -lt 0 ] && ! one_of "$last" -1301 -1414 -1415 && [ "$after" != 0 ]; then
        why="$after bytes left after the failure"
    fi
}

# ---- openssl s_server ----

preauth='* PREAUTH [CAPABILITY IMAP4rev1] welcome'
greeting='* OK [CAPABILITY IMAP4rev1 AUTH=CRAM-MD5] welcome'

# s_server GREETING ARGUMENTS: serves one connection; the port is in $port.
s_server() {
    count=$((count + 1))
    log=$work/server.$count
    : >"$log"
    mkfifo "$log.in"
    # Both ends open: the server never sees an end of its input, and its greeting waits for the client there.
    exec 3<>"$log.in"
    printf '%s\r\n' "$1" >&3
    shift
    OPENSSL_CONF=$certs/openssl.cnf timeout 60 openssl s_server -naccept 1 -accept "${listen:-127.0.0.1}:0" "$@" \
        <&3 >"$log" 2>&1 &
    server=$!
    port='' tries=0
    while [ -z "$port" ] && [ $tries -lt 300 ]; do
        while read -r key value; do
            [ "$key" != ACCEPT ] || port=${value##*:}
        done <"$log"
        [ -n "$port" ] || sleep 0.01
        tries=$((tries + 1))
    done
}

# Waits for the server to end by itself, so that its output is whole, and ends it when it does not.
server_end() {
    tries=0
    while kill -0 "$server" 2>/dev/null && [ $tries -lt "${1:-100}" ]; do
        sleep 0.01
        tries=$((tries + 1))
    done
    kill "$server" 2>/dev/null
    wait "$server" 2>/dev/null
    server=''
}

# s_server with a certificate of certs/make.sh.
cert_server() {
    text=$1 cert=$2
    shift 2
    s_server "$text" -cert "$certs/$cert.pem" -cert_chain "$certs/$cert.pem" -key "$certs/$cert.key" "$@"
}

# Nothing that IMAP says, no secret and no line with a tag, in what the server has decrypted.
server_heard() {
    grep -a -q -i -e 'LOGIN' -e 'AUTHENTICATE' -e probe-user12 -e s3cret -e cHJvYmUt -e czNjcmV0 \
        -e '^[A-Za-z][A-Za-z]*[0-9][0-9]* [A-Z]' "$1"
}

# refused NAME "NUMBERS": after the probe of an s_server.
refused() {
    sound
    # shellcheck disable=SC2086
    one_of "$number" $2 || why="${why:-$number $code in $phase, wanted $2}"
    check "$1: refused" "$why"
    why=''
    [ "$secret" = 0 ] || why='a secret in clear'
    ! server_heard "$log" || why='application data has arrived'
    check "$1: nothing of the application sent" "$why"
}

accepted() {
    sound
    [ "$number" = 0 ] || why="${why:-$number $code in $phase}"
    [ "$encrypted" = 1 ] || why="${why:-not encrypted}"
    check "$1" "$why"
}

trust=''
set_trust() {
    trust="-C $certs/$1"
}

# What is trusted, for the name of a check, when it is not the usual CA.
trusting() {
    [ "$trust" = "-C $certs/ca.pem" ] || echo ", trusting $(echo "$trust" | sed 's|[^ ]*/||')"
}

# bad HOST CERT "NUMBERS" [s_server arguments]: refused by TLS 1.2 and 1.3.
bad() {
    host=$1 which=$2 numbers=$3
    shift 3
    for version in tls1_2 tls1_3; do
        picked "$which for $host, $version$(trusting)" || continue
        cert_server "$greeting" "$which" -$version "$@"
        # shellcheck disable=SC2086
        probe $trust -t 2000 -r "$port" "$host"
        server_end
        refused "$which for $host, $version$(trusting)" "$numbers"
    done
}

# good HOST CERT [s_server arguments]: accepted by TLS 1.2 and 1.3.
good() {
    host=$1 which=$2
    shift 2
    for version in tls1_2 tls1_3; do
        picked "$which for $host${extra:+ $extra}, $version$(trusting)" || continue
        cert_server "$preauth" "$which" -$version "$@"
        # shellcheck disable=SC2086
        probe $trust $extra -r "$port" "$host"
        server_end
        accepted "$which for $host${extra:+ $extra}, $version$(trusting): accepted"
    done
}
extra=''

# ---- tests/liar.c ----

# lie MODE SCENARIO PROBE-ARGUMENTS: plays a scenario against the client.
lie() {
    mode=$1 scenario=$2
    shift 2
    log=$work/liar
    : >"$log.out"
    # shellcheck disable=SC2086
    "$bin/liar" -m "$mode" -d "$certs" $liar_options -o "$log" "$scenario" >"$log.out" 2>&1 &
    server=$!
    port='' tries=0
    while [ -z "$port" ] && [ $tries -lt 300 ]; do
        while read -r key value; do
            [ "$key" != PORT ] || port=$value
        done <"$log.out"
        [ -n "$port" ] || sleep 0.01
        tries=$((tries + 1))
    done
    # shellcheck disable=SC2086
    probe $trust -s "$mode" -r "$port" "$@" localhost
    server_end 200
}
liar_options=''

# Which secrets the liar has: in clear on the wire, and inside TLS.
heard() {
    grep -a -q -i -e ' LOGIN ' -e ' AUTHENTICATE ' -e probe-user12 -e s3cret -e cHJvYmUt -e czNjcmV0 "$1"
}

# told MODE SCENARIO "NUMBERS" PROBE-ARGUMENTS: lies to the client, and sets `about`; `why` unless it ends with one of them.
# Fails when this lie is not wanted.
told() {
    numbers=$3
    about="$1 $2"
    lied_to=$1 lie_name=$2
    shift 3
    about="$about${1:+ $*}"
    picked "lie $about" || return
    lie "$lied_to" "$lie_name" "$@"
    sound
    # shellcheck disable=SC2086
    one_of "$last" $numbers || why="${why:-$last $code in $phase, wanted $numbers}"
    return 0
}

# caught MODE SCENARIO "NUMBERS" PROBE-ARGUMENTS: the lie is noticed before anything secret is sent.
caught() {
    told "$@" || return 0
    check "lie $about: refused" "$why"
    why=''
    ! heard "$log.raw" || why='a secret in clear'
    ! heard "$log.text" || why='a secret sent to the liar'
    check "lie $about: no secret sent" "$why"
}

# late MODE SCENARIO "NUMBERS" PROBE-ARGUMENTS: the same after the login, so that secrets are sent; in modes 1 and 2 none
# of them in clear.
late() {
    told "$@" || return 0
    [ "$lied_to" = 0 ] || ! heard "$log.raw" || why=${why:-a secret in clear}
    check "lie $about: $numbers" "$why"
}

# quick NAME MILLISECONDS: the last call took no longer, and no less than the limit that it had.
quick() {
    why=''
    [ "${elapsed:-99999}" -le "$2" ] || why="it took $elapsed ms, at most $2 are allowed"
    [ "${elapsed:-0}" -ge "${3:-0}" ] || why="it took only $elapsed ms, at least $3 were wanted"
    check "$1: in time" "$why"
}

expect() {
    if [ "$2" = "$3" ]; then ok "$1"; else not_ok "$1" "'$2', wanted '$3'"; fi
}

# ======== the tests ========

# TLS_KEEP is a folder for what does not depend on the library, from one run to the next.
[ ! -d "${TLS_KEEP:-}" ] || cp -R "$TLS_KEEP/." "$work"
# shellcheck disable=SC2086
compile liar $warnings tests/liar.c
# shellcheck disable=SC2086
compile tls_naive $warnings tests/tls_naive.c
# shellcheck disable=SC2086
compile tls_probe $warnings -fsanitize=address,undefined -fno-sanitize-recover=all tests/tls_probe.c
[ -d "$certs" ] || sh certs/make.sh "$certs" || exit 1
[ -d "${TLS_KEEP:-/}" ] || {
    mkdir "$TLS_KEEP" && cp -R "$bin/liar" "$bin/tls_naive" "$certs" "$TLS_KEEP"
}

set_trust ca.pem

certificates_good() {
    for name in good good-rsa good-chain pss-sha256 manysan; do
        good localhost $name
    done
    good localhost. good
    expect 'SNI without the trailing dot' "$sni" localhost
    good LOCALHOST good
    good localhost good-upper
    good a.example.org wildcard
    expect 'SNI is the name' "$sni" a.example.org
    expect 'no ALPN is sent' "$alpn" 0
    good 127.0.0.1 good
    expect 'no SNI for an IPv4 address' "$sni" ''
    good 127.0.0.2 good-lo2
    good 127.0.0.9 wrongip
    set_trust ca-sha1.pem
    good localhost good-sha1root
    set_trust ca.pem
}

certificates_bad() {
    bad localhost wrongname -1407
    bad localhost expired -1408
    bad localhost int-expired -1408
    bad localhost notyet -1409
    bad localhost selfsigned -1410
    bad localhost selfsigned-expired '-1408 -1410'
    bad localhost untrusted -1410
    bad localhost good-partial -1410
    for name in rsa1024 rsa-int1024 sha1 sha1-ecdsa sha1-chain md5; do
        bad localhost $name -1412
    done
    for name in cnonly cn-other uri email nul; do
        bad localhost $name -1407
    done
    bad 127.0.0.1 ip-as-dns -1407
    bad 127.0.0.1 wild-ip -1407
    bad 127.0.0.1 wrongip -1407
    bad 127.0.0.1 cnonly -1407
    bad 127.0.0.3 good-lo2 -1407
    bad example.org wildcard -1407
    bad a.b.example.org wildcard -1407
    bad example.org wild-top -1407
    bad foo.example.org wild-partial -1407
    bad '*.example.org' wildcard '-503 -1407'
    for name in clientonly notca pathlen nocertsign nameconstraint critical; do
        bad localhost $name '-1410 -1031'
    done
    bad localhost pss-sha1 '-1412 -1410'
    bad localhost p224 '-1412 -1031'
}

# A certificate that is in the list of the trusted ones itself is no server's certificate for that: wolfSSL has
# trust_peer_cert for this, and nobody may have called it.
certificates_as_ca() {
    mkdir "$work/cadir"
    cp "$certs/ca.pem" "$certs/selfsigned-expired.pem" "$certs/expired.pem" "$work/cadir"
    for name in selfsigned-expired expired notyet wrongname rsa1024 clientonly; do
        set_trust $name.pem
        bad localhost $name '-1029 -1031 -1407 -1408 -1409 -1410 -1412'
    done
    for name in selfsigned-expired expired; do
        trust="-C $work/cadir"
        bad localhost $name '-1408 -1410'
        # A careless program has loaded it into its context.
        for how in default none callback; do
            trust="-X $certs/$name.pem -w $how"
            bad localhost $name '-1408 -1410'
        done
    done
    set_trust ca.pem
}

# An intermediate certificate with the name of the CA that issued it is self-issued (RFC 5280 section 3.2) and no trust
# anchor: its signature counts.
self_issued() {
    for digest in sha1 sha256; do
        for role in int leaf; do
            subject='/CN=imapconnect test CA' by=ca
            set -- -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign
            if [ $role = leaf ]; then
                subject=/CN=leaf by=int-$digest
                set -- -sha256 -addext basicConstraints=critical,CA:FALSE -addext subjectAltName=DNS:localhost
                cp "$work/int-$digest.pem" "$work/int-$digest.key" "$certs"
            fi
            OPENSSL_CONF=$certs/openssl.cnf openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc \
                -keyout "$work/$role-$digest.key" -out "$work/$role-$digest.pem" -days 30 -$digest -subj "$subject" \
                -CA "$certs/$by.pem" -CAkey "$certs/$by.key" "$@" 2>"$work/openssl.err" ||
                not_ok "make the $role certificate" "$(cat "$work/openssl.err")"
        done
        cat "$work/leaf-$digest.pem" "$work/int-$digest.pem" >"$certs/self-$digest.pem"
        cp "$work/leaf-$digest.key" "$certs/self-$digest.key"
    done
    good localhost self-sha256
    bad localhost self-sha1 -1412
}

# The length of the signature of a DER certificate, in bytes.
signature_size() {
    openssl asn1parse -inform DER -in "$1" | sed -n '$s/.*l= *\([0-9]*\) prim.*/\1/p'
}

# A certificate that anyone can make who has the CA's, which is public: its subject, its key identifier and the bytes of
# its signature, but a key and a name of his own. wolfSSL with WOLFSSL_TRUST_PEER_CERT and OPENSSL_COMPATIBLE_DEFAULTS
# (Debian's) takes it for a "trusted peer", since loading a CA makes one of it, and verifies nothing.
forged() {
    id=$(openssl x509 -in "$certs/ca.pem" -noout -ext subjectKeyIdentifier | sed -n '$s/ //gp')
    size=$(signature_size "$certs/ca.der") tries=0
    while [ $tries -lt 50 ]; do # ECDSA signatures have 70 to 72 bytes
        tries=$((tries + 1))
        OPENSSL_CONF=$certs/openssl.cnf openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc \
            -keyout "$certs/forged.key" -outform DER -out "$work/forged.der" -days 30 -sha256 \
            -subj '/CN=imapconnect test CA' -addext subjectAltName=DNS:localhost \
            -addext basicConstraints=critical,CA:FALSE -addext "subjectKeyIdentifier=$id" 2>/dev/null
        [ "$(signature_size "$work/forged.der")" != "$size" ] || break
    done
    size=$((size - 1)) # the first byte of the BIT STRING is the count of unused bits
    whole=$(wc -c <"$work/forged.der")
    {
        head -c $((whole - size)) "$work/forged.der"
        tail -c $size "$certs/ca.der"
    } >"$work/forged2.der"
    openssl x509 -inform DER -in "$work/forged2.der" -out "$certs/forged.pem"
    expect 'forged: the subject is that of the CA' "$(openssl x509 -in "$certs/forged.pem" -noout -subject_hash)" \
        "$(openssl x509 -in "$certs/ca.pem" -noout -subject_hash)"
    expect 'forged: the signature is that of the CA' "$(tail -c $size "$work/forged2.der" | cksum)" \
        "$(tail -c $size "$certs/ca.der" | cksum)"
    for trust in "-C $certs/ca.pem" "-C $certs/cadir" "-P $certs/ca.pem" "-D $certs/ca.der" "-X $certs/ca.pem" \
        "-X $certs/ca.pem -w callback"; do
        bad localhost forged '-1410 -1031'
    done
    set_trust ca.pem
}

# What a refused or an unverified server has sent must not be known to the next session on the same context: the second
# server sends its leaf alone.
poisoned() {
    trust="-X $certs/ca.pem"
    for name in sha1-chain rsa-int1024 int-expired good-chain; do
        sed '/END CERTIFICATE/q' "$certs/$name.pem" >"$certs/alone.pem"
        cp "$certs/$name.key" "$certs/alone.key"
        for flags in '' -k; do
            [ "$name$flags" != good-chain ] || continue # there it is verified, and may be known
            cert_server "$preauth" "$name"
            first=$port first_server=$server
            cert_server "$greeting" alone
            # shellcheck disable=SC2086
            probe $trust $flags -t 2000 -r "$first" -T "$port" localhost
            server_end
            kill "$first_server" 2>/dev/null
            wait "$first_server" 2>/dev/null
            refused "$name alone, after it was sent whole${flags:+ with verify off}" '-1410 -1412'
        done
    done
    set_trust ca.pem
}

# Handshakes that take a turn more.
handshakes() {
    for groups in P-384 P-521 X25519; do
        cert_server "$preauth" good -tls1_3 -groups $groups
        # shellcheck disable=SC2086
        probe $trust -r "$port" localhost
        server_end
        accepted "a server that wants $groups: accepted"
        [ $groups != P-521 ] || turns=$hello
    done
    expect 'a second ClientHello was needed for P-521' "$turns" 2
    for version in tls1_2 tls1_3; do
        cert_server "$preauth" good -$version -verify 1
        # shellcheck disable=SC2086
        probe $trust -r "$port" localhost
        server_end
        accepted "a server that asks for a certificate of ours, $version: accepted"
        for flags in -b '-b -n'; do
            cert_server "$preauth" manysan -$version
            # shellcheck disable=SC2086
            probe $trust $flags -r "$port" localhost
            server_end
            accepted "a byte at a time $flags, $version: accepted"
            cert_server "$greeting" wrongname -$version
            # shellcheck disable=SC2086
            probe $trust $flags -r "$port" localhost
            server_end
            refused "a byte at a time $flags, wrongname, $version" -1407
        done
    done
}

addresses() {
    trust_v6="$trust -6"
    listen='[::1]'
    for host in '[::1]' ::1 0:0:0:0:0:0:0:1; do
        cert_server "$preauth" good
        # shellcheck disable=SC2086
        probe $trust_v6 -r "$port" "$host"
        server_end
        accepted "good for $host: accepted"
        expect "no SNI for $host" "$sni" ''
    done
    cert_server "$preauth" good
    # shellcheck disable=SC2086
    probe $trust -o "[::1]:$port"
    server_end
    opens=0 closes=0
    accepted 'good for [::1], default transport: accepted'
    cert_server "$greeting" ip-as-dns
    # shellcheck disable=SC2086
    probe $trust_v6 -r "$port" ::1
    server_end
    refused 'ip-as-dns for ::1' -1407
    listen=''
    # The server's own view of the extension.
    cert_server "$preauth" good -tlsextdebug
    # shellcheck disable=SC2086
    probe $trust -r "$port" localhost
    server_end
    why=''
    grep -a -q 'TLS client extension "server name"' "$log" || why='the server saw none'
    check 'SNI seen by the server' "$why"
    cert_server "$preauth" good -tlsextdebug
    # shellcheck disable=SC2086
    probe $trust -o "127.0.0.1:$port"
    server_end
    why=''
    ! grep -a -q 'TLS client extension "server name"' "$log" || why='the server saw one'
    grep -a -q 'TLS client extension' "$log" || why='no extension seen at all'
    check 'no SNI seen by the server for an address' "$why"
}

# That a secret would be found if it came.
control() {
    cert_server "$greeting" good
    # shellcheck disable=SC2086
    probe $trust -t 700 -r "$port" localhost
    server_end
    expect 'control: a good server gets the AUTHENTICATE, and the client waits' "$number" -522
    why=''
    server_heard "$log" || why='it was not found'
    check 'control: AUTHENTICATE is found in what the server decrypts' "$why"
    expect 'control: and not in clear' "$secret" 0
    allowed=',1301,1302,1303,1304,c02b,c02c,c02f,c030,cca8,cca9,00ff,5600,c0ac,c0ad,c0ae,c0af,'
    why=''
    for suite in $(echo "$suites" | tr , ' '); do
        case $allowed in *",$suite,"*) ;; *) why="$why $suite" ;; esac
    done
    [ -n "$suites" ] || why='no suites seen'
    check 'only AEAD suites with ECDHE are offered' "$why"
    expect 'TLS 1.3 and 1.2 are offered, nothing else' "$versions" 0304,0303
    offered=$suites
    cert_server "$preauth" selfsigned
    # shellcheck disable=SC2086
    probe $trust -k -r "$port" localhost
    server_end
    expect 'verify off offers the same suites' "$suites" "$offered"
    expect 'verify off offers the same versions' "$versions" 0304,0303
}

# weak NAME "NUMBERS" SUITES s_server-ARGUMENTS: tls_naive gets through, the library does not, verify on or off.
weak() {
    what=$1 numbers=$2 naive=$3
    shift 3
    s_server "$preauth" "$@"
    why=$("$bin/tls_naive" "$port" "$naive") && why=''
    server_end
    check "control: $what works for a naive client" "$why"
    for flags in '' -k; do
        s_server "$greeting" "$@"
        # shellcheck disable=SC2086
        probe $trust $flags -r "$port" localhost
        server_end
        refused "$what${flags:+, verify off}" "$numbers"
    done
    for how in weak callback; do
        s_server "$greeting" "$@"
        probe -X "$certs/ca.pem" -w $how -r "$port" localhost
        server_end
        refused "$what, shared context $how" "$numbers"
    done
}

with() {
    echo "-cert $certs/$1.pem -key $certs/$1.key -cert_chain $certs/$1.pem"
}

weak_servers() {
    ec=$(with good) rsa=$(with good-rsa)
    # The number depends on who refuses: the server finds no common suite, or the client looks at what was chosen.
    n='-1031 -1412'
    weak 'anonymous Diffie-Hellman' "$n -1411" '' -nocert -tls1_2 -cipher ADH-AES128-SHA:@SECLEVEL=0
    weak 'anonymous AES-GCM' "$n -1411" '' -nocert -tls1_2 \
        -cipher ADH-AES256-GCM-SHA384:@SECLEVEL=0
    # shellcheck disable=SC2086
    {
        weak 'TLS 1.1' "$n" ECDHE-ECDSA-AES128-SHA $ec -tls1_1
        weak 'CBC, ECDSA' "$n" ECDHE-ECDSA-AES128-SHA $ec -tls1_2 -cipher ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0
        weak 'CBC, RSA' "$n" ECDHE-RSA-AES128-SHA256 $rsa -tls1_2 -cipher ECDHE-RSA-AES128-SHA256:@SECLEVEL=0
        weak 'DHE' "$n" DHE-RSA-AES128-GCM-SHA256 $rsa -tls1_2 -cipher DHE-RSA-AES128-GCM-SHA256:@SECLEVEL=0
        weak 'NULL' "$n" ECDHE-ECDSA-NULL-SHA $ec -tls1_2 -cipher ECDHE-ECDSA-NULL-SHA:@SECLEVEL=0
    }
    # wolfSSL has no RSA key exchange here, so that there is no naive client to compare with.
    for flags in '' -k; do
        # shellcheck disable=SC2086
        s_server "$greeting" $rsa -tls1_2 -cipher AES128-GCM-SHA256:AES128-SHA:@SECLEVEL=0
        # shellcheck disable=SC2086
        probe $trust $flags -r "$port" localhost
        server_end
        refused "RSA key exchange${flags:+, verify off}" "$n"
    done
    # Suites that OpenSSL does not have any more, from wolfSSL's server.
    for suite in ECDHE-ECDSA-RC4-SHA ECDHE-ECDSA-DES-CBC3-SHA TLS13-SHA256-SHA256; do
        liar_options="-c $suite"
        for how in none weak; do
            caught_with "$suite, shared context $how" -X "$certs/ca.pem" -w $how
        done
        caught_with "$suite, verify off" -k
    done
    liar_options=''
    weak_psk
}

# A suite of the liar's: the context of the client is given by the arguments.
caught_with() {
    about=$1
    shift
    lie 1 honest "$@"
    sound
    one_of "$number" -1031 -1412 -1411 || why="${why:-$number $code in $phase}"
    ! heard "$log.text" || why='a secret was sent'
    check "$about: refused" "$why"
}

# With a pre-shared key a server sends no certificate, and there is nothing to verify: RFC 8446 section 2.2.
weak_psk() {
    for version in tls1_3 tls1_2; do
        set -- -nocert -psk 1a2b3c4d -psk_identity Client_identity -$version
        if [ $version = tls1_3 ]; then
            s_server "$preauth" "$@" -ciphersuites TLS_AES_128_GCM_SHA256
            why=$("$bin/tls_naive" "$port" PSK) && why=''
            server_end
            check 'control: a pre-shared key works for a naive client' "$why"
        fi
        for flags in '' -k; do
            s_server "$greeting" "$@"
            # shellcheck disable=SC2086
            probe -X "$certs/ca.pem" -w psk $flags -r "$port" localhost
            server_end
            refused "a pre-shared key and no certificate, $version${flags:+, verify off}" '-1411 -1412 -1031'
        done
    done
}

verify_off() {
    for name in selfsigned expired wrongname untrusted notyet cnonly; do
        extra=-k
        good localhost $name
        extra=''
    done
    cert_server "$preauth" selfsigned
    probe -k -r "$port" localhost
    server_end
    accepted 'verify off needs no CA'
    cert_server "$preauth" selfsigned
    probe -k -C "$work/missing" -r "$port" localhost
    server_end
    accepted 'verify off does not look at the CA folder'
}

# before NAME "NUMBERS" PROBE-ARGUMENTS: an error before the transport is asked for anything.
before() {
    what=$1 numbers=$2
    shift 2
    picked "$what" || return 0
    probe -r 1 "$@" localhost
    sound
    # shellcheck disable=SC2086
    one_of "$number" $numbers || why="${why:-$number $code, wanted $numbers}"
    [ "$opens" = 0 ] || why="${why:-it has connected}"
    check "$what" "$why"
}

trust_sources() {
    head -c 300 /dev/urandom >"$work/noise"
    for mode in 1 2; do
        before "empty CA folder, secure $mode" -1027 -s $mode -C "$certs/cadir-empty"
        before "missing CA folder, secure $mode" '-1027 -1029' -s $mode -C "$work/missing"
        before "CA file without a certificate, secure $mode" -1029 -s $mode -C "$certs/empty.pem"
        before "broken CA file, secure $mode" -1029 -s $mode -C "$certs/broken.pem"
        before "garbage as DER, secure $mode" -1029 -s $mode -D "$work/noise"
        before "garbage as PEM, secure $mode" -1029 -s $mode -P "$work/noise"
        before "PEM given as DER, secure $mode" -1029 -s $mode -D "$certs/ca.pem"
        before "expired CA, secure $mode" -1408 -s $mode -C "$certs/selfsigned-expired.pem"
        before "CA of tomorrow, secure $mode" -1409 -s $mode -C "$certs/notyet.pem"
        before "an empty PEM buffer, secure $mode" '-1027 -1029' -s $mode -P "$certs/broken.pem"
    done
    for source in "-C $certs/ca.pem" "-C $certs/cadir" "-C $certs/cadir/" "-C $certs/cadir-mixed" "-P $certs/ca.pem" \
        "-D $certs/ca.der" "-X $certs/ca.pem" "-X $certs/ca.pem -n" "-C $certs/cadir -n"; do
        trust=$source
        for name in good-chain untrusted wrongname expired; do
            text=$greeting
            [ $name != good-chain ] || text=$preauth
            label="CA from ${source%%"$certs"*}${source##*/}, $name"
            picked "$label" || continue
            cert_server "$text" $name
            # shellcheck disable=SC2086
            probe $trust -r "$port" localhost
            server_end
            case $name in
            good-chain) accepted "$label: accepted" ;;
            untrusted) refused "$label" -1410 ;;
            wrongname) refused "$label" -1407 ;;
            expired) refused "$label" -1408 ;;
            esac
            case $source in
            *cadir-mixed) expect "$label: the other three files are skipped" "$skipped" 3 ;;
            *cadir | *cadir/) expect "$label: no file skipped" "$skipped" 0 ;;
            -X*) expect "$label: the context is as it was" "$ctx" unchanged ;;
            esac
        done
    done
    set_trust ca.pem
    # The system's store, where there is one, does not know our CA.
    cert_server "$greeting" good
    probe -r "$port" localhost
    server_end
    refused "the system's store" '-1410 -1027'
    why=''
    [ "$number" != -1027 ] || [ "$opens" = 0 ] || why='connected without a CA'
    check "the system's store: none, no connection" "$why"
}

# Everything in the shared context is as bad as it can be, and nothing gets weaker.
shared_context() {
    for how in none callback weak; do
        trust="-X $certs/ca.pem -w $how"
        cert_server "$preauth" good
        # shellcheck disable=SC2086
        probe $trust -r "$port" localhost
        server_end
        accepted "shared context $how, good: accepted"
        expect "shared context $how, as it was" "$ctx" unchanged
        cert_server "$greeting" wrongname
        # shellcheck disable=SC2086
        probe $trust -r "$port" localhost
        server_end
        refused "shared context $how, wrongname" -1407
        cert_server "$greeting" rsa1024
        # shellcheck disable=SC2086
        probe $trust -r "$port" localhost
        server_end
        refused "shared context $how, rsa1024" -1412
        bad localhost untrusted -1410
        bad localhost expired -1408
        bad localhost sha1 -1412
        for name in good wrongname; do
            cert_server "$preauth" $name
            # shellcheck disable=SC2086
            probe $trust -k -r "$port" localhost
            server_end
            accepted "shared context $how, verify off, $name: accepted"
        done
    done
    set_trust ca.pem
}

# The three modes with an honest server: secrets arrive, and in modes 1 and 2 none of them in clear.
honest() {
    for mode in 0 1 2; do
        for scenario in honest honest-asked; do
            [ "$mode$scenario" != 2honest-asked ] || continue
            for flags in '' -n -k -b '-b -n'; do
                # shellcheck disable=SC2086
                lie "$mode" "$scenario" $flags -c NOOP -c 'SEARCH ALL' -q
                sound
                [ "$last" = 0 ] || why="${why:-$last $code in $phase}"
                [ "$mechanism" = LOGIN ] || why="${why:-mechanism $mechanism}"
                heard "$log.text" || why="${why:-no login has arrived}"
                if [ "$mode" = 0 ]; then
                    heard "$log.raw" || why="${why:-no login seen in clear}"
                else
                    ! heard "$log.raw" || why='a secret in clear'
                fi
                check "$scenario server, secure $mode${flags:+ $flags}" "$why"
                case $mode$flags in
                0* | *-b*) ;; # close_notify is tried once, and not waited for
                *) expect "$scenario server, secure $mode${flags:+ $flags}: ends with close_notify" \
                    "$(tail -n 1 "$log.out")" 'END notify' ;;
                esac
            done
        done
    done
    lie 2 honest
    expect 'secure 2 says nothing but STARTTLS in clear' "$plain" STARTTLS
    expect 'one ClientHello' "$hello" 1
    lie 1 honest
    expect 'secure 1 says nothing in clear' "$plain" ''
    lie 2 case
    sound
    [ "$number" = 0 ] || why="${why:-$number $code in $phase}"
    check 'keywords in any case' "$why"
    expect 'secure 2 says CAPABILITY and STARTTLS in clear' "$plain" CAPABILITY,STARTTLS
    lie 1 cram-ok
    sound
    [ "$number" = 0 ] || why="${why:-$number $code}"
    ! grep -a -q ' LOGIN ' "$log.text" || why='LOGIN after a CRAM-MD5 that succeeded'
    grep -a -q s3cret "$log.text" && why='the password was sent'
    check 'CRAM-MD5 that succeeds sends no LOGIN' "$why"
}

stripping() {
    caught 2 strip -1265
    caught 2 strip-code -1265
    caught 2 strip-atom -1265
    caught 2 caps-empty -1266
    caught 2 caps-none -1266
    caught 2 caps-no -1266
    caught 2 caps-bad -1266
    caught 2 not-rev1 -1267
    caught 2 starttls-no -1268
    caught 2 starttls-bad -1268
    caught 2 starttls-plus '-1268 -1260'
    caught 2 starttls-garbage '-1260 -1261'
    caught 2 starttls-foreign -1261
    caught 2 starttls-word '-1260 -1268'
    caught 2 starttls-preauth '-1260 -1268'
    caught 2 starttls-bye -1416
    caught 2 starttls-untagged -522 -t 700
    expect 'an untagged OK is no OK: no ClientHello' "$hello" 0
    for scenario in strip caps-empty starttls-no starttls-plus; do
        caught 2 "$scenario" '-1265 -1266 -1268 -1260' -k
        expect "lie 2 $scenario, verify off: no ClientHello" "$hello" 0
    done
}

injection() {
    for scenario in inject-byte inject-lf inject-record inject-full inject-split; do
        for flags in '' -n -k; do
            # shellcheck disable=SC2086
            caught 2 "$scenario" -1405 $flags
            expect "lie 2 $scenario${flags:+ $flags}: no ClientHello" "$hello" 0
            expect "lie 2 $scenario${flags:+ $flags}: the link was closed" "$closes" 1
        done
    done
    caught 2 inject-late '-1405 -1031 -1412'
    caught 2 preauth -1406
    expect 'PREAUTH with secure 2: not one byte is sent' "$written" 0
    for play in '0 preauth' '0 preauth-asked' '1 preauth-tls' '1 preauth-asked'; do
        # shellcheck disable=SC2086
        lie $play
        sound
        [ "$number $mechanism" = '0 PREAUTH' ] || why="${why:-$number $code, mechanism $mechanism}"
        ! heard "$log.text" || why='a login was sent'
        check "secure $play: accepted, no login" "$why"
    done
    caught 2 early-ok '-1261 -1405'
    expect 'an early OK: no ClientHello' "$hello" 0
    caught 0 early-greeting -1261
    caught 1 early-greeting -1261
    caught 0 early-login -1261
    caught 1 bye -1263
    caught 0 bye -1263
    caught 2 bye -1263
    caught 0 bye-referral -1263
    expect 'a referral is not followed' "$opens" 1
    lie 0 referral
    expect 'a referral in an OK is not followed' "$opens" 1
    for mode in 0 1 2; do
        caught "$mode" greet-exists -1262
        caught "$mode" greet-no -1262
        caught "$mode" greet-http '-1262 -1260'
    done
    # What was said in clear: capabilities, mailbox data, a response code.
    caught 2 state -1264 -v
    why=''
    ! grep -q -e '^LIST .*EXISTS' -e '^LIST .*forged' "$work/probe.out" || why='the list still has it'
    grep -q '^LOG S: .*78 EXISTS' "$work/probe.out" || why="${why:-the log does not have it}"
    check 'what came before TLS is in the log and not in the list' "$why"
    caught 1 logindisabled -1264
    caught 0 logindisabled -1264
}

not_tls() {
    caught 1 plain-on-tls -1031
    caught 1 tls-garbage -1031
    caught 1 tls-alert -1031
    caught 1 tls-huge -1031
    caught 1 tls-fin '-1031 -1033 -1418'
    caught 1 tls-rst '-10054 -1031'
    caught 1 tls-drip -522 -t 700
    quick 'lie 1 tls-drip' 3500 650
    caught 1 silent -522 -t 700
    quick 'lie 1 silent' 3500 650
    for scenario in tls-hello-requests tls-ccs tls-warnings; do
        caught 1 "$scenario" '-1031 -1417 -522' -t 1000
        quick "lie 1 $scenario" 3500
    done
}

patience() {
    for mode in 0 1; do
        caught "$mode" silent-inside -522 -t 700
        quick "lie $mode silent-inside" 3500 650
        caught "$mode" slow -522 -t 700
        quick "lie $mode slow" 3500 650
        caught "$mode" slow-lines -522 -t 700
        quick "lie $mode slow-lines" 3500 650
        caught "$mode" endless-greeting -1417
        caught "$mode" endless-lines -1417
        caught "$mode" endless-bad '-1417 -1260'
        caught "$mode" endless-caps -1417
        late "$mode" endless-login -1417
        caught "$mode" literal-early -1417
        caught "$mode" literal-early-drip -522 -t 700
        quick "lie $mode literal-early-drip" 3500 650
        late "$mode" many-lines 0
        late "$mode" many-lines 0 -n
    done
    caught 2 endless-starttls -1417
    caught 2 silent -522 -t 700
    for scenario in key-updates tickets hello-requests; do
        [ $scenario != hello-requests ] || liar_options='-2 -c ECDHE-ECDSA-AES128-GCM-SHA256'
        caught 1 "$scenario" '-1417 -522 -1031' -t 1000
        quick "lie 1 $scenario" 3500
    done
    liar_options=''
    for mode in 0 1 2; do
        late "$mode" silent-reply -522 -t 700 -c NOOP
        quick "lie $mode silent-reply" 3500 650
        late "$mode" slow-reply -522 -t 700 -c NOOP
        quick "lie $mode slow-reply" 3500 650
    done
    for scenario in endless-reply endless-line; do
        late 0 "$scenario" -522 -t 700 -c NOOP
        quick "lie 0 $scenario" 3500 650
        late 1 "$scenario" -1417 -B 100000 -c NOOP
    done
    late 0 lines-reply 0 -c NOOP
    late 1 lines-reply 0 -c NOOP
}

endings() {
    late 0 fin-reply -1033 -c NOOP
    late 0 fin-literal -1033 -c NOOP
    caught 0 fin-greeting -1033
    for mode in 1 2; do
        late "$mode" fin-reply -1418 -c NOOP
        late "$mode" fin-literal -1418 -c NOOP
        late "$mode" notify-reply -1033 -c NOOP
    done
    caught 1 fin-greeting -1418
    caught 1 notify-greeting -1033
    for mode in 0 1 2; do
        late "$mode" rst-reply -10054 -c NOOP
        late "$mode" bye-reply -1416 -c NOOP
        late "$mode" plus-reply -1260 -c NOOP
        expect "lie $mode plus-reply: the session is over" "$open" 0
        late "$mode" foreign-tag -1261 -c NOOP
        late "$mode" cram-early '-1274 -1260 -1261'
        ! grep -a -q ' LOGIN ' "$log.text"
        expect "lie $mode cram-early: no LOGIN follows" $? 0
        late "$mode" cram-bye -1416
        ! grep -a -q ' LOGIN ' "$log.text"
        expect "lie $mode cram-bye: no LOGIN follows" $? 0
    done
    late 0 cram-fin -1033
    late 1 cram-fin -1418
    ! grep -a -q ' LOGIN ' "$log.text"
    expect 'lie 1 cram-fin: no LOGIN follows' $? 0
    for mode in 0 1; do
        late "$mode" literal-overflow -1260 -c NOOP
        late "$mode" literal-digits -1260 -c NOOP
        late "$mode" literal-plus -1260 -c NOOP
        late "$mode" literal-flood -1417 -B 100000 -c NOOP
        late "$mode" literal-drip -522 -t 700 -c NOOP
        quick "lie $mode literal-drip" 3500 650
    done
}

# ---- config.tls ----

# pin NAME: SHA-256 of the server's SubjectPublicKeyInfo, in hex, as openssl makes it.
pin() {
    openssl x509 -in "$certs/$1.pem" -pubkey -noout | openssl pkey -pubin -outform DER | openssl dgst -sha256 -hex |
        sed 's/.*= *//'
}

pins() {
    none="$(pin untrusted)" own="$(pin ca)"
    for version in tls1_2 tls1_3; do
        for name in good good-rsa good-chain selfsigned expired wrongname cnonly; do
            right=$(pin $name)
            case $name in
            good*) number_with_chain=0 ;;
            selfsigned) number_with_chain=-1410 ;;
            expired) number_with_chain=-1408 ;;
            *) number_with_chain=-1407 ;;
            esac
            # Alone it decides; with the chain both must hold. The key of the CA is not that of the server.
            pinned "$version" $name 0 -k -p "$right"
            pinned "$version" $name 0 -k -p "$none" -p "$right"
            pinned "$version" $name -1426 -k -p "$none"
            pinned "$version" $name -1426 -k -p "$own"
            # shellcheck disable=SC2086
            pinned "$version" $name $number_with_chain $trust -p "$right"
            [ $number_with_chain != 0 ] || number_with_chain=-1426
            # shellcheck disable=SC2086
            pinned "$version" $name $number_with_chain $trust -p "$none" -p "$own"
        done
    done
    # A pin is no way round the rest: no certificate, a weak suite.
    for flags in "-k" "$trust"; do
        s_server "$greeting" -nocert -tls1_2 -cipher ADH-AES128-SHA:@SECLEVEL=0
        # shellcheck disable=SC2086
        probe $flags -p "$none" -r "$port" localhost
        server_end
        refused "a pin and no certificate, $flags" '-1031 -1411 -1412'
    done
    liar_pin
}

# pinned VERSION NAME NUMBER PROBE-ARGUMENTS
pinned() {
    version=$1 which=$2 wanted=$3
    shift 3
    text=$greeting
    [ "$wanted" != 0 ] || text=$preauth
    cert_server "$text" "$which" "-$version"
    probe "$@" -t 2000 -r "$port" localhost
    server_end
    label="pins, $which, $version, $(echo "$*" | sed 's|[^ ]*/||g; s/\([0-9a-f]\{6\}\)[0-9a-f]\{58\}/\1/g')"
    if [ "$wanted" = 0 ]; then accepted "$label: accepted"; else refused "$label" "$wanted"; fi
}

# Who shows the pinned certificate must have its key: here he has another one.
liar_pin() {
    for version in 1.2 1.3; do
        for whose in good wrongname; do
            liar_options="-k $whose"
            [ $version = 1.3 ] || liar_options="$liar_options -2"
            lie 1 honest -k -p "$(pin good)" -c NOOP
            sound
            if [ $whose = good ]; then
                [ "$last" -ge 0 ] || why="${why:-$last $code in $phase}"
                check "control: the pinned certificate with its key, TLS $version" "$why"
            else
                one_of "$number" -1031 -1412 || why="${why:-$number $code in $phase}"
                ! heard "$log.text" || why='a secret was sent'
                check "the pinned certificate with the key of $whose, TLS $version: refused" "$why"
            fi
        done
    done
    liar_options=''
}

# The certificate that the server has seen, by its subject.
seen_of_us() {
    sed -n 's/^depth=0 CN = //p' "$log" | sort -u
}

# shows NAME NUMBER SUBJECT PROBE-ARGUMENTS: the client's certificate is asked for, and that of SUBJECT comes.
shows() {
    label=$1 wanted=$2 subject=$3
    shift 3
    for version in tls1_2 tls1_3; do
        # shellcheck disable=SC2086
        cert_server "$preauth" good "-$version" $ask "$certs/ca.pem" -verify_return_error
        # shellcheck disable=SC2086
        probe $trust "$@" -t 2000 -r "$port" localhost
        server_end
        sound
        [ "$wanted" != 0 ] || [ "$number" = 0 ] || why="${why:-$number $code in $phase}"
        [ "$wanted" = 0 ] || [ "$number" != 0 ] || why="${why:-the server has let us in}"
        [ "$(seen_of_us)" = "$subject" ] || why="${why:-the server has seen $(seen_of_us)}"
        check "our certificate, $label, $version" "$why"
    done
}

own_certificate() {
    for name in clientonly good-rsa; do
        sed '/END CERTIFICATE/q' "$certs/$name.pem" | openssl x509 -outform DER -out "$certs/$name.cert.der"
        openssl pkey -in "$certs/$name.key" -outform DER -out "$certs/$name.key.der"
    done
    openssl pkcs8 -topk8 -in "$certs/clientonly.key" -passout pass:x -out "$work/locked.key"
    openssl ec -in "$certs/clientonly.key" -out "$work/sec1.key" 2>/dev/null
    ask='-Verify 1 -CAfile'
    mine=$certs/clientonly
    shows 'from files' 0 clientonly -e "$mine.pem" -a "$mine.key"
    shows 'from PEM buffers' 0 clientonly -E "$mine.pem" -A "$mine.key"
    shows 'from DER buffers' 0 clientonly -d -E "$mine.cert.der" -A "$mine.key.der"
    shows 'from DER files' 0 clientonly -d -e "$mine.cert.der" -a "$mine.key.der"
    shows 'an EC key as SEC 1 writes it' 0 clientonly -e "$mine.pem" -a "$work/sec1.key"
    shows 'with its chain' 0 good-chain -e "$certs/good-chain.pem" -a "$certs/good-chain.key"
    shows 'RSA, with its chain' 0 good-rsa -e "$certs/good-rsa.pem" -a "$certs/good-rsa.key"
    shows 'on a shared context' 0 clientonly -X "$certs/ca.pem" -e "$mine.pem" -a "$mine.key"
    shows 'in a non-blocking session, a byte at a time' 0 clientonly -n -b -e "$mine.pem" -a "$mine.key"
    shows 'of another CA: refused' 1 untrusted -e "$certs/untrusted.pem" -a "$certs/untrusted.key"
    shows 'expired: refused' 1 expired -e "$certs/expired.pem" -a "$certs/expired.key"
    shows 'without its chain: refused' 1 good-chain -E "$certs/good-partial.pem" -A "$certs/good-partial.key"
    shows 'with the key of another: refused' 1 clientonly -e "$mine.pem" -a "$certs/good.key"
    shows 'none: refused' 1 ''
    ask='-verify 1 -CAfile'
    shows 'none, and none is needed' 0 ''
    ask='-CAfile'
    shows 'not asked for: not sent' 0 '' -e "$mine.pem" -a "$mine.key"
    # An impostor does not get to see it, nor does a wrong pin.
    for flags in "$trust" "-k -p $(pin good)"; do
        cert_server "$greeting" untrusted -tls1_3 -Verify 1 -CAfile "$certs/ca.pem"
        # shellcheck disable=SC2086
        probe $flags -e "$mine.pem" -a "$mine.key" -r "$port" localhost
        server_end
        refused "our certificate and an impostor, ${flags%% *}" '-1410 -1426'
        expect "our certificate and an impostor, ${flags%% *}: not shown" "$(seen_of_us)" ''
    done
    own_certificate_broken
}

own_certificate_broken() {
    before 'our certificate: the file is missing' -1427 -k -e "$work/missing" -a "$mine.key"
    before 'our certificate: the key is missing' -1427 -k -e "$mine.pem" -a "$work/missing"
    before 'our certificate: no key' -1427 -k -e "$mine.pem"
    before 'our certificate: a key alone' -1427 -k -a "$mine.key"
    before 'our certificate: a buffer without a key' -1427 -k -E "$mine.pem"
    before 'our certificate: an RSA key for an EC one' -1427 -k -e "$mine.pem" -a "$certs/good-rsa.key"
    before 'our certificate: an EC key for an RSA one' -1427 -k -e "$certs/good-rsa.pem" -a "$certs/good.key"
    before 'our certificate: PEM as DER' -1427 -k -d -E "$mine.pem" -A "$mine.key"
    before 'our certificate: DER as PEM' -1427 -k -E "$mine.cert.der" -A "$mine.key.der"
    before 'our certificate: broken' -1427 -k -E "$certs/broken.pem" -A "$mine.key"
    before 'our certificate: empty' -1427 -k -e "$certs/empty.pem" -a "$certs/empty.pem"
    before 'our certificate: a locked key' -1427 -k -e "$mine.pem" -a "$work/locked.key"
    before 'our certificate: RSA-1024' -1427 -k -e "$certs/rsa1024.pem" -a "$certs/rsa1024.key"
    before 'our certificate: broken, on a shared context' -1427 -X "$certs/ca.pem" -e "$certs/broken.pem" -a "$mine.key"
    expect 'our certificate: the shared context is as it was' "$ctx" unchanged
}

# Says goodbye as an IMAP server does, since OpenSSL forgets a session that ends without close_notify.
goodbye() {
    said=$(grep -a -c LOGOUT "$log")
    tries=0
    while [ $tries -lt 500 ]; do
        tries=$((tries + 1))
        if [ "$(grep -a -c LOGOUT "$log")" -gt "$said" ]; then
            printf '* BYE\r\n%s OK\r\n' "$(grep -a LOGOUT "$log" | tail -n 1 | cut -d ' ' -f 1)" >&3
            return
        fi
        sleep 0.01
    done
}

# visit PROBE-ARGUMENTS: connects, disconnects.
visit() {
    goodbye &
    goodbye=$!
    # shellcheck disable=SC2086
    probe $trust -q -t 2000 -r "$port" "$@"
    kill $goodbye 2>/dev/null
    wait $goodbye 2>/dev/null
}

# How many sessions the server has resumed.
hits() {
    sed -n 's/^ *\([0-9]*\) session cache hits.*/\1/p' "$log"
}

# twice NAME HITS "FIRST" "SECOND" HOST2: two visits of one server, the second with the ticket of the first. The server
# is the one of cert_server in $serves.
twice() {
    label="ticket, $1, $version" wanted=$2 first=$3 second=$4 host=${5:-localhost}
    rm -f "$work/ticket" "$work/next"
    # shellcheck disable=SC2086
    cert_server "$preauth" $serves -$version -naccept 2
    # shellcheck disable=SC2086
    visit $first -O "$work/ticket" localhost
    accepted "$label: the first visit"
    # Before the server has seen the end of this visit it would still send there what it is given.
    until_true grep -a -q '^DONE' "$log"
    printf '%s\r\n' "$preauth" >&3
    # shellcheck disable=SC2086
    visit $second -O "$work/next" "$host"
    server_end
    accepted "$label: the second visit"
    expect "$label: resumed" "$(hits)" "$wanted"
}

tickets_used() {
    serves=good
    for version in tls1_2 tls1_3; do
        twice 'used' 1 -R "-R -i $work/ticket"
        expect "ticket, used, $version: its last day stays" "$(head -c 3 "$work/next" | cksum)" \
            "$(head -c 3 "$work/ticket" | cksum)"
        cp "$work/ticket" "$work/ticket.$version"
        why=''
        [ "$(wc -c <"$work/ticket")" -lt 600 ] || why="it has $(wc -c <"$work/ticket") bytes"
        check "ticket, $version: without the certificates" "$why"
        twice 'not kept' 0 -R -R
        twice 'never asked for' 0 '' ''
        expect "ticket, never asked for, $version: none given" "$(wc -c <"$work/ticket")" 0
        twice 'asked for late' 0 '' -R
        twice 'pins and nothing else' 0 "-p $(pin good)" "-p $(pin good)"
        twice 'with a pin' 1 "-R -p $(pin good)" "-i $work/ticket -p $(pin good)"
        twice 'a byte at a time' 1 -R "-i $work/ticket -b -n"
        twice 'the name in capitals' 1 -R "-i $work/ticket" LOCALHOST
        twice 'the name with its dot' 1 -R "-i $work/ticket" localhost.
        twice 'the port written out' 1 -R "-i $work/ticket" localhost:993
        trust=-k
        twice 'verify off' 1 -R "-i $work/ticket"
        serves=selfsigned
        twice 'verify off, self-signed' 1 -R "-i $work/ticket"
        twice 'verify off, self-signed, pinned' 1 "-R -p $(pin selfsigned)" "-i $work/ticket -p $(pin selfsigned)"
        set_trust ca.pem
        serves="good -Verify 1 -CAfile $certs/ca.pem -id_prefix x"
        ours="-e $certs/clientonly.pem -a $certs/clientonly.key"
        twice 'with our certificate' 1 "-R $ours" "-i $work/ticket $ours"
        # On the last day of a certificate it is not used.
        serves='good-lasthour'
        ends=$(date -u -d "$(openssl x509 -in "$certs/good-lasthour.pem" -noout -enddate | cut -d = -f 2)" +%j)
        wanted=1
        [ "$ends" != "$(date -u +%j)" ] || wanted=0
        twice 'of a certificate that ends in an hour' $wanted -R "-i $work/ticket"
        trust=-k
        twice 'of that certificate, verify off' 1 -R "-i $work/ticket"
        set_trust ca.pem
        serves=good
        # One context, two sessions, nothing asked for: wolfSSL's own cache is left alone.
        cert_server "$preauth" good -$version -naccept 2
        {
            until grep -a -q 'CONNECTION CLOSED' "$log"; do sleep 0.01; done
            printf '%s\r\n' "$preauth" >&3
        } &
        greeter=$!
        probe -X "$certs/ca.pem" -r "$port" -T "$port" localhost
        kill $greeter 2>/dev/null
        server_end
        accepted "two sessions on a shared context, $version"
        expect "two sessions on a shared context, $version: none resumed" "$(hits)" 0
    done
}

# A server that does not know the ticket gets no credit for it.
tickets_elsewhere() {
    for version in tls1_2 tls1_3; do
        trust="-C $certs/ca.pem -i $work/ticket.$version"
        cert_server "$preauth" good -$version
        # shellcheck disable=SC2086
        probe $trust -r "$port" localhost
        server_end
        accepted "ticket, a server that has forgotten it, $version: accepted"
        for case in 'untrusted -1410' 'selfsigned -1410' 'expired -1408' 'wrongname -1407' 'rsa1024 -1412'; do
            cert_server "$greeting" "${case% *}" -$version
            # shellcheck disable=SC2086
            probe $trust -t 2000 -r "$port" localhost
            server_end
            refused "ticket, a server that has never seen it, ${case% *}, $version" "${case#* }"
        done
        other=tls1_2
        [ $version != tls1_2 ] || other=tls1_3
        for name in good untrusted; do
            cert_server "$greeting" $name -$other
            # shellcheck disable=SC2086
            probe $trust -t 2000 -r "$port" localhost
            server_end
            refused "ticket of $version, a server with $other, $name" -1428
        done
        s_server "$greeting" -nocert -tls1_2 -cipher ADH-AES128-SHA:@SECLEVEL=0
        # shellcheck disable=SC2086
        probe $trust -t 2000 -r "$port" localhost
        server_end
        refused "ticket of $version, a server without a certificate" '-1428 -1411'
    done
    set_trust ca.pem
}

# not_taken NAME HOST PROBE-ARGUMENTS: before anything is sent.
not_taken() {
    label="ticket, $1, $version: not taken" host=$2
    shift 2
    probe -r 1 "$@" "$host"
    sound
    [ "$number" = -1428 ] || why="${why:-$number $code, wanted -1428}"
    [ "$opens" = 0 ] || why="${why:-it has connected}"
    check "$label" "$why"
}

# changed OFFSET: the ticket with this byte made another one.
changed() {
    {
        head -c "$1" "$ticket"
        tail -c +$(($1 + 1)) "$ticket" | head -c 1 | tr '\000-\377' '\001-\377\000'
        tail -c +$(($1 + 2)) "$ticket"
    } >"$work/changed"
}

tickets_not_taken() {
    for version in tls1_2 tls1_3; do
        ticket=$work/ticket.$version
        set -- -C "$certs/ca.pem" -i "$ticket"
        not_taken 'another host' 127.0.0.1 "$@"
        not_taken 'another name' localhost.localdomain "$@"
        not_taken 'another port' localhost:994 "$@"
        not_taken 'STARTTLS' localhost:993 "$@" -s 2
        not_taken 'verify off' localhost "$@" -k
        not_taken 'a pin more' localhost "$@" -p "$(pin good)"
        not_taken 'our certificate' localhost "$@" -e "$certs/clientonly.pem" -a "$certs/clientonly.key"
        not_taken 'other CAs' localhost "$@" -C "$certs/cadir"
        not_taken 'CAs from a buffer' localhost "$@" -P "$certs/ca.pem"
        not_taken 'CAs from a context' localhost -X "$certs/ca.pem" -i "$ticket"
        size=$(wc -c <"$ticket")
        # Format, day, binding, session, seal; of the session every seventh byte.
        for at in 0 1 2 3 18 $(seq 19 7 $((size - 33))) $((size - 33)) $((size - 32)) $((size - 1)); do
            changed "$at"
            not_taken "byte $at changed" localhost -C "$certs/ca.pem" -i "$work/changed"
        done
        for left in 0 1 18 19 51 $((size - 1)); do
            head -c "$left" "$ticket" >"$work/changed"
            not_taken "cut after $left bytes" localhost -C "$certs/ca.pem" -i "$work/changed"
        done
        { cat "$ticket" && printf x; } >"$work/changed"
        not_taken 'a byte longer' localhost -C "$certs/ca.pem" -i "$work/changed"
        # Made without verification, for the same server.
        serves=good trust=-k
        twice 'verify off' 1 -R "-i $work/ticket"
        set_trust ca.pem
        not_taken 'made with verify off' localhost -C "$certs/ca.pem" -i "$work/ticket"
        twice 'with a pin' 1 "-R -p $(pin good)" "-i $work/ticket -p $(pin good)"
        not_taken 'made with a pin' localhost -C "$certs/ca.pem" -i "$work/ticket"
        not_taken 'made with another pin' localhost -C "$certs/ca.pem" -i "$work/ticket" -p "$(pin ca)"
    done
}

# A real server, in each mode: a login process of its own for each connection forgets, one for all remembers.
tickets_dovecot() {
    for kind in normal one-login; do
        CERTS=$certs sh tests/dovecot.sh start "$work/$kind" $kind >"$work/dovecot.log" 2>&1 || {
            not_ok "ticket, Dovecot, $kind: starts" 'it does not' "$work/dovecot.log"
            continue
        }
        # shellcheck disable=SC1090,SC1091
        . "$work/$kind/env"
        for mode in 1 2; do
            at=$IMAPS_PORT used=''
            [ $mode = 1 ] || at=$IMAP_PORT
            for visit in 1 2 3; do
                # shellcheck disable=SC2086
                probe -s $mode -C "$CADIR" -U "$USER" -W "$PASSWORD" -R $used -O "$work/ticket" -c NOOP -q \
                    "localhost:$at"
                used="-i $work/ticket" wanted=0
                [ $kind = normal ] || [ $visit = 1 ] || wanted=1
                accepted "ticket, Dovecot, $kind, secure $mode, visit $visit"
                expect "ticket, Dovecot, $kind, secure $mode, visit $visit: resumed" "$resumed" $wanted
            done
        done
        sh tests/dovecot.sh stop "$work/$kind"
    done
}

tickets() {
    tickets_dovecot
    tickets_used
    tickets_elsewhere
    tickets_not_taken
}

# The parts, in four groups that run at the same time.
# shellcheck disable=SC2030,SC2031
group() {
    name=$1
    shift
    (
        work=$work/$name
        mkdir "$work"
        trap '[ -z "$server" ] || kill "$server" 2>/dev/null' EXIT
        trap 'exit 1' HUP INT TERM
        for part; do
            case " ${TLS_PARTS:-$part} " in
            *" $part "*)
                $part
                [ -z "${TLS_TIMES:-}" ] || date "+# %T after $part"
                ;;
            esac
        done
        echo "$passed $failed" >"$work/sum"
    ) >"$work/$name.out" 2>&1 &
    groups="$groups $!"
    names="$names $name"
}

names=''
group names certificates_good certificates_bad certificates_as_ca addresses verify_off handshakes
group trust control weak_servers trust_sources shared_context self_issued forged poisoned
group options tickets pins own_certificate
group lies honest stripping injection not_tls patience endings
for pid in $groups; do
    wait "$pid"
done
groups=''
# shellcheck disable=SC2031
for name in $names; do
    cat "$work/$name.out"
    if read -r good bad <"$work/$name/sum"; then
        passed=$((passed + good)) failed=$((failed + bad))
    else
        not_ok "group $name" 'it did not come to its end'
    fi
done
sum_up
