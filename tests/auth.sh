#!/bin/sh
# auth.sh: each mechanism of config.auth against a Dovecot of its own, tests/dovecot.sh with the variant `mechanisms`.
# Each logs in, and is refused with a wrong secret, inside TLS and STARTTLS, blocking and not; nothing secret is left in
# the session, the log or the list (tls_probe's CHECKS). What the server then offers must be used: NOOP.
#
# The verifiers of SCRAM come from `doveadm pw`, the tokens are JWTs that openssl signs, RFC 7515 section 3.1; Dovecot
# checks them by itself. Every check is one line `ok NAME` or `not ok NAME - why`; the last line is `N passed, N failed`.
set -u

cd "$(dirname "$0")/.." || exit 1
BUILD_DIR=${BUILD_DIR:-build}
mkdir -p "$BUILD_DIR"
work=$(mktemp -d "$BUILD_DIR/auth.XXXXXX") || exit 1
work=$(cd "$work" && pwd)
# Dovecot reads in there with users of its own.
chmod 755 "$work"
# shellcheck source=tests/check.sh
. tests/check.sh

finish() {
    sh tests/dovecot.sh stop "$work/server"
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 1' HUP INT TERM

# The bits of config.auth, as in the header.
EXTERNAL=0x001 OAUTHBEARER=0x002 XOAUTH2=0x004 SCRAM_SHA_256=0x010 SCRAM_SHA_1=0x020 CRAM_MD5=0x040 PLAIN=0x080
LOGIN=0x100 STRONGEST=0x1f8 IN_CLEAR=0x1000

# ---- tokens ----

base64url() {
    openssl base64 -A | tr '+/' '-_' | tr -d '='
}

# token SUBJECT SECONDS KEY: valid until SECONDS from now, RFC 7519.
token() {
    now=$(date +%s)
    head=$(printf '{"alg":"HS256","typ":"JWT"}' | base64url)
    claims=$(printf '{"sub":"%s","iat":%d,"nbf":%d,"exp":%d}' "$1" $((now - 7200)) $((now - 7200)) $((now + $2)) | base64url)
    mark=$(printf %s "$head.$claims" | openssl dgst -sha256 -hmac "$3" -binary | base64url)
    printf %s "$head.$claims.$mark"
}

# ---- the client ----

# log_in SECURE FLAGS BITS USER PASSWORD: the answers are in $number, $mechanism, $reason, $code, $verdict.
log_in() {
    secure=$1 flags=$2 bits=$3 user=$4 password=$5 port=$IMAP_PORT
    [ "$secure" != 1 ] || port=$IMAPS_PORT
    number='' mechanism='' reason='' code='' verdict='' last=''
    # $flags is several words.
    # shellcheck disable=SC2086
    timeout 20 "$work/tls_probe" -s "$secure" $flags -C "$CAFILE" -m "$bits" -U "$user" -W "$password" -c NOOP -v \
        "$HOST:$port" >"$work/out" 2>"$work/err"
    status=$?
    while read -r key a b c d e f g; do
        case $key in
        RESULT) number=$a mechanism=$f last=$a ;;
        SAID) reason=$a code=$b ;;
        COMMAND) last=$a ;;
        CHECKS) verdict="$a${b:+ $b}${c:+ $c}${d:+ $d}${e:+ $e}${f:+ $f}${g:+ $g}" ;;
        esac
    done <"$work/out"
}

# wants NAME NUMBER MECHANISM: what the last login must have come to.
wants() {
    if [ "$status" -gt 1 ] || [ "$verdict" != clean ]; then
        not_ok "$1" "status $status, $verdict" "$work/err"
    elif [ "$number" != "$2" ]; then
        not_ok "$1" "$number, not $2" "$work/out"
    elif [ "$mechanism" != "$3" ]; then
        not_ok "$1" "by $mechanism, not $3" "$work/out"
    elif [ "$last" != "$2" ]; then
        not_ok "$1" "NOOP: $last" "$work/out"
    else
        ok "$1"
    fi
}

# was_sent NAME PATTERN...: these lines left, in this order, and no other that begins an authentication.
was_sent() {
    name=$1
    shift
    sed -n 's/^LOG C: [^ ]* \(AUTHENTICATE [^ ]*\|LOGIN\).*/\1/p' "$work/out" | tr '\n' ',' >"$work/sent"
    if [ "$(cat "$work/sent")" = "$1" ]; then ok "$name"; else not_ok "$name" "sent $(cat "$work/sent")" "$work/out"; fi
}

# both NAME BITS USER RIGHT WRONG CODE [FLAGS]: in every way of connecting; NAME is that of the mechanism.
both() {
    for way in '1 TLS' '2 STARTTLS' '1 TLS, not blocking -n' '2 STARTTLS, not blocking -n'; do
        step=${way##*blocking}
        [ "$step" != "$way" ] || step=
        title=${way#* }
        log_in "${way%% *}" "$step ${7:-}" "$2" "$3" "$4"
        wants "$1, ${title% -n}" 0 "$1"
        log_in "${way%% *}" "$step ${7:-}" "$2" "$3" "$5"
        wants "$1, ${title% -n}: a wrong secret" "$6" -
    done
}

# ---- the checks ----

passwords() {
    both SCRAM-SHA-256 $SCRAM_SHA_256 scram-256 scramsecret scramSecret -1270
    both SCRAM-SHA-1 $SCRAM_SHA_1 scram-1 scramsecret scramSecret -1270
    # It is in the server's env.
    # shellcheck disable=SC2153
    both CRAM-MD5 $CRAM_MD5 "$USER" "$PASSWORD" secreT -1270
    both PLAIN $PLAIN "$USER" "$PASSWORD" secreT -1270
    both LOGIN $LOGIN "$USER" "$PASSWORD" secreT -1270
    for row in SCRAM-SHA-256:$SCRAM_SHA_256 SCRAM-SHA-1:$SCRAM_SHA_1 PLAIN:$PLAIN; do
        name=${row%:*}
        log_in 1 '' "${row#*:}" "$UTF8_USER" "$UTF8_PASSWORD"
        wants "$name: bytes above 0x7f" 0 "$name"
        log_in 1 '' "${row#*:}" "$LONG_USER" "$LONG_PASSWORD"
        wants "$name: 255 bytes" 0 "$name"
        log_in 1 '' "${row#*:}" "$QUOTE_USER" "$QUOTE_PASSWORD"
        wants "$name: quotes and blanks" 0 "$name"
        log_in 1 -b "${row#*:}" "$USER" "$PASSWORD"
        wants "$name: a byte at a time" 0 "$name"
    done
}

# The hash of the one user serves neither SCRAM nor CRAM-MD5.
one_after_the_other() {
    log_in 1 '' $((CRAM_MD5 | PLAIN)) "$HASHED_USER" "$HASHED_PASSWORD"
    wants 'a hash that CRAM-MD5 cannot use' 0 PLAIN
    was_sent 'a hash that CRAM-MD5 cannot use: what was sent' 'AUTHENTICATE CRAM-MD5,AUTHENTICATE PLAIN,'
    log_in 1 '' $STRONGEST "$HASHED_USER" "$HASHED_PASSWORD"
    wants 'three tries are not enough for it' -1270 -
    was_sent 'three tries are not enough for it: what was sent' \
        'AUTHENTICATE SCRAM-SHA-256,AUTHENTICATE SCRAM-SHA-1,AUTHENTICATE CRAM-MD5,'
    log_in 1 '' $STRONGEST scram-256 scramsecret
    wants 'the strongest' 0 SCRAM-SHA-256
    was_sent 'the strongest: what was sent' 'AUTHENTICATE SCRAM-SHA-256,'
    log_in 1 '' $STRONGEST scram-1 scramsecret
    wants 'the next to the strongest' 0 SCRAM-SHA-1
    log_in 1 '' 0 "$USER" "$PASSWORD"
    wants 'the documented order' 0 CRAM-MD5
    log_in 1 '' 0 "$HASHED_USER" "$HASHED_PASSWORD"
    wants 'the documented order, with a hash' 0 LOGIN
    log_in 1 '' 0x008 "$USER" "$PASSWORD"
    wants 'a mechanism that Dovecot has not' -1431 -
}

tokens() {
    key='a key for tests of tokens, no more'
    good=$(token "$USER" 3600 "$key") expired=$(token "$USER" -3600 "$key")
    forged=$(token "$USER" 3600 'another key') other=$(token ada 3600 "$key")
    for row in OAUTHBEARER:$OAUTHBEARER XOAUTH2:$XOAUTH2; do
        name=${row%:*} bit=${row#*:}
        both "$name" "$bit" "$USER" "$good" "$expired" -1434
        log_in 1 '' "$bit" "$USER" "$forged"
        wants "$name: signed by another" -1434 -
        log_in 1 '' "$bit" "$USER" "$other"
        wants "$name: the token of another" -1434 -
        log_in 1 '' "$bit" "$USER" rubbish-that-is-no-token
        wants "$name: no token at all" -1434 -
    done
    log_in 1 '' $((OAUTHBEARER | XOAUTH2)) "$USER" "$good"
    wants 'tokens: the standard first' 0 OAUTHBEARER
}

certificates() {
    mine="-e $CERTS/clientonly.pem -a $CERTS/clientonly.key"
    for way in '1 TLS' '2 STARTTLS'; do
        for step in '' -n; do
            log_in "${way% *}" "$mine $step" $EXTERNAL clientonly ''
            wants "EXTERNAL, ${way#* }${step:+, not blocking}" 0 EXTERNAL
            log_in "${way% *}" "$mine $step" $EXTERNAL "$USER" ''
            wants "EXTERNAL, ${way#* }${step:+, not blocking}: for another user" -1270 -
            log_in "${way% *}" "$step" $EXTERNAL clientonly ''
            wants "EXTERNAL, ${way#* }${step:+, not blocking}: without a certificate" -1270 -
        done
    done
    log_in 1 "$mine" $EXTERNAL '' ''
    wants 'EXTERNAL: the name in the certificate' 0 EXTERNAL
    log_in 1 "-e $CERTS/untrusted.pem -a $CERTS/untrusted.key" $EXTERNAL untrusted ''
    if [ "$number" -lt 0 ]; then ok 'EXTERNAL: by an unknown CA'; else not_ok 'EXTERNAL: by an unknown CA' "$number"; fi
}

# Dovecot says LOGINDISABLED, and offers neither PLAIN nor what takes tokens.
in_clear() {
    log_in 0 '' $LOGIN "$USER" "$PASSWORD"
    wants 'in clear: LOGIN' -1431 -
    was_sent 'in clear: LOGIN, nothing left' ''
    log_in 0 '' $((LOGIN | PLAIN | IN_CLEAR)) "$USER" "$PASSWORD"
    wants 'in clear: LOGINDISABLED counts, whatever the caller allows' -1431 -
    was_sent 'in clear: LOGINDISABLED, nothing left' ''
    log_in 0 '' $XOAUTH2 "$USER" "$PASSWORD"
    wants 'in clear: no token' -1431 -
    was_sent 'in clear: no token left' ''
    log_in 0 '' $SCRAM_SHA_256 scram-256 scramsecret
    wants 'in clear: SCRAM-SHA-256' 0 SCRAM-SHA-256
    log_in 0 -n $CRAM_MD5 "$USER" "$PASSWORD"
    wants 'in clear: CRAM-MD5' 0 CRAM-MD5
}

# The reason as a number, RFC 5530 section 3.
reasons() {
    log_in 1 '' $PLAIN "$USER" wrong-secret
    if [ "$reason $code" = "4 AUTHENTICATIONFAILED" ]; then ok 'the reason'; else not_ok 'the reason' "$reason $code"; fi
}

if ! gcc -std=c99 -D_POSIX_C_SOURCE=200809L -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all \
    tests/tls_probe.c -o "$work/tls_probe" -lwolfssl || ! sh tests/dovecot.sh start "$work/server" mechanisms; then
    not_ok 'a Dovecot and a client' 'one of them does not start'
    sum_up
    exit 1
fi
# shellcheck disable=SC1091
. "$work/server/env"

passwords
one_after_the_other
tokens
certificates
in_clear
reasons
sum_up
