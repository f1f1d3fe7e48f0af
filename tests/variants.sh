#!/bin/sh
# variants.sh: the header with other wolfSSLs than Debian's. Debian's source of wolfSSL is compiled here with the
# settings of tests/variants/user_settings.h, once for each variant, and a real session runs with each: TLS and STARTTLS,
# good certificates and bad ones, a message of 5 MB.
#
#   small     the settings as they are                    no-md5      NO_MD5: no CRAM-MD5, the login is LOGIN inside TLS
#   no-files  NO_FILESYSTEM: the CA comes from a buffer   threadless  SINGLE_THREADED
#   static    WOLFSSL_STATIC_MEMORY, WOLFSSL_NO_MALLOC: all of wolfSSL in an array, and no call to malloc
#   device    all of these but NO_MD5 at once             no-tls      IMAPCONNECT_NO_TLS: no wolfSSL at all
#
#   variants.sh [VARIANT ...]     only these
set -u

cd "$(dirname "$0")/.." || exit 1
BUILD_DIR=${BUILD_DIR:-$PWD/build}
mkdir -p "$BUILD_DIR"
BUILD_DIR=$(cd "$BUILD_DIR" && pwd)
work=$(mktemp -d "$BUILD_DIR/variants.XXXXXX") || exit 1
chmod 755 "$work"
# shellcheck source=tests/check.sh
. tests/check.sh

finish() {
    for server in "$work"/server.*; do
        [ ! -d "$server" ] || sh tests/dovecot.sh stop "$server"
    done
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 1' HUP INT TERM

# ---- wolfSSL ----

# Without the last one wolfSSL 5.5 keeps pointers to what it has freed, see the header's >>ground.
static='-DWOLFSSL_STATIC_MEMORY -DWOLFSSL_NO_MALLOC -DWOLFSSL_DYN_CERT'

# options VARIANT: the settings that make it.
options() {
    case $1 in
    small) ;;
    no-md5) echo -DNO_MD5 ;;
    no-files) echo -DNO_FILESYSTEM ;;
    threadless) echo -DSINGLE_THREADED ;;
    static) echo "$static" ;;
    device) echo "$static -DNO_FILESYSTEM -DSINGLE_THREADED -DNO_WRITEV -DWOLFSSL_USER_IO" ;;
    no-tls) echo -DIMAPCONNECT_NO_TLS ;;
    *)
        echo "variants.sh: no such variant: $1" >&2
        exit 2
        ;;
    esac
}

files='src/internal src/keys src/ssl src/tls src/tls13 src/wolfio'
for file in aes asn chacha chacha20_poly1305 coding ecc error hash hmac kdf logging md5 memory poly1305 random rsa \
    sha sha256 sha512 signature sp_int wc_port wolfmath; do
    files="$files wolfcrypt/src/$file"
done

# library VARIANT: $work/VARIANT/wolfssl.a. Its warnings are not ours.
library() {
    mkdir "$work/$1"
    # $files and the options are several words.
    # shellcheck disable=SC2046,SC2086,SC2016
    printf '%s\n' $files | xargs -P 2 -I '{}' sh -c 'file=$1 out=$2 && shift 2 &&
        exec "$@" -c "$file.c" -o "$out/$(basename "$file").o"' sh "$sources/{}" "$work/$1" \
        gcc -std=gnu99 -w -O1 -DWOLFSSL_USER_SETTINGS -Itests/variants -I"$sources" $(options "$1") &&
        ar rc "$work/$1/wolfssl.a" "$work/$1"/*.o
}

# ---- the header with it ----

# program VARIANT OPTION...: $work/VARIANT/program. With ASan, so that an object of wolfSSL that is not freed is seen.
program() {
    variant=$1
    shift
    # shellcheck disable=SC2046,SC2086
    gcc -std=c99 -D_POSIX_C_SOURCE=200809L $warnings -O1 -g -DWOLFSSL_USER_SETTINGS -Itests/variants \
        -isystem "$sources" $(options "$variant") -DSTATIC_MEMORY="$STATIC_MEMORY" tests/variants.c "$@" \
        -o "$work/$variant/program" -fsanitize=address,undefined -fno-sanitize-recover=all
}

# The header alone, as C and as C++.
compiles() {
    # shellcheck disable=SC2046,SC2086
    for language in 'gcc -xc -std=c99 -D_POSIX_C_SOURCE=200809L' 'clang -xc -std=c99 -D_POSIX_C_SOURCE=200809L' \
        'g++ -xc++ -std=c++11'; do
        $language $warnings -O2 -DWOLFSSL_USER_SETTINGS -Itests/variants -isystem "$sources" $(options "$1") \
            -c tests/hygiene/implement.c -o "$work/$1/implement.o" || return
    done
}

# advises WORD OPTION...: the header does not compile so, and says why.
advises() {
    word=$1
    shift
    ! gcc -std=c99 -D_POSIX_C_SOURCE=200809L -DWOLFSSL_USER_SETTINGS -Itests/variants -isystem "$sources" "$@" \
        -c tests/hygiene/implement.c -o "$work/advice.o" 2>"$work/advice" && grep "error.*$word" "$work/advice"
}

# ---- servers ----

# server NAME CERTIFICATE: a Dovecot with a certificate of certs/make.sh, in $work/server.NAME.
server() {
    mkdir "$work/certs.$1"
    cp -R "$work/certs/." "$work/certs.$1"
    cp "$work/certs/$2.pem" "$work/certs.$1/good-lo2.pem"
    cp "$work/certs/$2.key" "$work/certs.$1/good-lo2.key"
    CERTS=$work/certs.$1 sh tests/dovecot.sh start "$work/server.$1" >"$work/out" 2>&1 || {
        cat "$work/out" >&2
        exit 1
    }
}

# ---- what is expected ----

# session NAME "EXPECTED" HOW SERVER SECURE CA: EXPECTED are words of the line that the program prints.
session() {
    name=$1 expected=$2 how=$3 server=$4 secure=$5 ca=$6
    got=$(
        # shellcheck disable=SC1090
        . "$work/server.$server/env"
        export USER PASSWORD BIG_NUMBER
        port=$IMAP_PORT
        [ "$secure" != 1 ] || port=$IMAPS_PORT
        [ "$expected" != in ] || expected="ok $mechanism $MESSAGES $BIG_SIZE"
        timeout -k 5 60 "$work/$variant/program" "$how" "$HOST:$port" "$secure" "$ca" >"$work/out" 2>"$work/err"
        status=$?
        [ $status -le 1 ] || echo "status $status; $(head -n 12 "$work/err")"
        [ "$(cat "$work/out")" = "$expected" ] || echo "$(cat "$work/out"), and not $expected; $(cat "$work/err")"
    )
    empty "$variant: $name" "$got"
}

refused() {
    session "$1" "IMAPCONNECT_E_$2 - 0 0" "$3" "$4" "$5" "$6"
}

# What each wolfSSL must do, with its CA from where the variant can have it.
sessions() {
    certs=$work/certs
    session 'TLS' in "$how" good 1 "$certs/ca.pem"
    session 'STARTTLS' in "$how" good 2 "$certs/ca.pem"
    session 'not encrypted' in "$how" good 0 "$certs/ca.pem"
    session 'an RSA certificate' in "$how" rsa 1 "$certs/ca.pem"
    refused 'another CA' UNTRUSTED "$how" good 1 "$certs/ca-other.pem"
    refused 'another name' NAME "$how" name 1 "$certs/ca.pem"
    refused 'another name, STARTTLS' NAME "$how" name 2 "$certs/ca.pem"
    refused 'an expired certificate' EXPIRED "$how" expired 1 "$certs/ca.pem"
}

# And what is particular to it.
particulars() {
    case $variant in
    small | no-md5 | threadless)
        session 'the CA in a folder' in path good 1 "$certs/cadir"
        session 'an old root that was sent along' in data root 1 "$certs/ca-sha1.pem"
        session 'a context of ours' in context good 1 "$certs/ca.pem"
        ;;
    no-files)
        refused 'a path' CA_FILE path good 1 "$certs/ca.pem"
        session 'a context of ours' in context good 1 "$certs/ca.pem"
        ;;
    static | device)
        empty "$variant: no call to malloc" "$(nm -u "$work/$variant"/*.o | grep -w 'malloc\|calloc\|realloc\|free')"
        # wolfSSL looks at it in memory that is not of the context, and there is none.
        refused 'an old root that was sent along' WEAK context root 1 "$certs/ca-sha1.pem"
        dangling=$(options "$variant" | sed 's/-DWOLFSSL_DYN_CERT//')
        # Several words.
        # shellcheck disable=SC2086
        check "$variant: without WOLFSSL_DYN_CERT: advice" advises WOLFSSL_DYN_CERT $dangling
        refused 'without a context of ours' MEMORY own good 1 "$certs/ca.pem"
        ;;
    esac
}

check_variant() {
    variant=$1 how=data mechanism=CRAM-MD5 libraries="$work/$1/wolfssl.a"
    case $variant in
    no-md5) mechanism=LOGIN ;;
    static | device) how=context ;;
    esac
    check "$variant: wolfSSL compiles" library "$variant"
    check "$variant: the header compiles" compiles "$variant"
    check "$variant: a program compiles" program "$variant" "$libraries"
    sessions
    particulars
}

# No wolfSSL, and the program is linked without one.
check_no_tls() {
    variant=no-tls mechanism=LOGIN certs=$work/certs
    mkdir "$work/no-tls"
    check "no-tls: the header compiles" compiles no-tls
    check "no-tls: a program compiles" program no-tls
    session 'not encrypted' in data good 0 "$certs/ca.pem"
    refused 'TLS' NO_TLS data good 1 "$certs/ca.pem"
    refused 'STARTTLS' NO_TLS data good 2 "$certs/ca.pem"
}

# ---- all of it ----

# Of the array: enough for one session, in blocks of the sizes that wolfSSL has by default.
: "${STATIC_MEMORY:=400000}"
[ $# -gt 0 ] || set -- small no-md5 no-files threadless static device no-tls
for name; do
    options "$name" >/dev/null
done
sources=$(sh tests/sources.sh wolfssl "$BUILD_DIR/sources") || exit 1
sh certs/make.sh "$work/certs" >"$work/out" 2>&1 || exit 1
server good good-lo2
server rsa good-rsa
server root good-sha1root
server name wrongname
server expired expired
for name; do
    case $name in
    no-tls) check_no_tls ;;
    *) check_variant "$name" ;;
    esac
done
sum_up
