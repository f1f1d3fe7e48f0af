#!/bin/sh
# make.sh OUTDIR: makes the CA and the server certificates that the tests and the demo use.
#
# They are made anew each time, so that none expires, and none of them is worth stealing. What is left in OUTDIR:
#
#   ca.pem ca.der ca.key      the CA that the tests trust (EC P-256)
#   ca-sha1.pem               another one to trust; its own signature is SHA-1, which is nothing to an anchor
#   ca-other.pem              a CA that is never trusted
#   cadir/                    a folder with ca.pem in it
#   cadir-mixed/              the same, with a README, a broken file and an empty one beside it
#   cadir-empty/ empty.pem broken.pem    no CA at all
#   openssl.cnf               lets `OPENSSL_CONF=OUTDIR/openssl.cnf openssl s_server` serve the weak ones, too
#   NAME.pem NAME.key         one server: its certificate, the intermediate ones behind it, and its key
#
# The servers, by NAME. "localhost" stands for the dNSName localhost and the addresses 127.0.0.1 and ::1.
#
#   good             localhost                         wrongname      other.example
#   good-rsa         localhost, RSA-2048 throughout    wrongip        127.0.0.9 and dNSName other.example
#   good-chain       localhost, by an intermediate     cnonly         CN=localhost, and no subjectAltName
#   good-sha1root    localhost, by ca-sha1, sent too   cn-other       CN=localhost, but dNSName other.example
#   good-lo2         localhost and 127.0.0.2           uri            only the URI imap://localhost
#   good-upper       dNSName LOCALHOST                 email          only the address joe@localhost
#   expired          ended yesterday                   ip-as-dns      127.0.0.1 and ::1 as dNSName
#   notyet           begins tomorrow                   wild-ip        dNSName *.0.0.1
#   int-expired      its intermediate has expired      wildcard       *.example.org
#   selfsigned       localhost, by itself              wild-top       *.org
#   selfsigned-expired                                 wild-partial   f*.example.org
#   untrusted        by ca-other                       nul            dNSName localhost, NUL, .example.org
#   rsa1024          RSA-1024                          manysan        100 names, localhost is the last
#   sha1 sha1-ecdsa  signed with SHA-1                 clientonly     extended key usage: clients only
#   md5              signed with MD5                   notca          by `good`, which is no CA
#   sha1-chain       its intermediate is SHA-1         pathlen        one intermediate more than allowed
#   pss-sha256       RSA-PSS with SHA-256              nocertsign     its intermediate may not sign
#   pss-sha1         RSA-PSS with SHA-1                nameconstraint its intermediate is for example.org only
#   ed25519          an Ed25519 key                    critical       a critical extension that nobody knows
#   p224             a key on the curve P-224          good-partial   chains to good-chain's intermediate, not sent
#   rsa-int1024      its intermediate is RSA-1024      good-lasthour  ends in an hour
set -eu

[ $# -eq 1 ] || {
    echo "usage: make.sh OUTDIR" >&2
    exit 2
}
command -v openssl >/dev/null || {
    echo "make.sh: openssl is not installed" >&2
    exit 1
}
mkdir -p "$1"
cd "$1"
umask 077
mkdir -p made cadir cadir-mixed cadir-empty

cat >openssl.cnf <<'END'
openssl_conf = settings
[settings]
ssl_conf = ssl
[ssl]
system_default = weak
[weak]
MinProtocol = TLSv1
CipherString = ALL:COMPLEMENTOFALL:@SECLEVEL=0
[req]
distinguished_name = name
[name]
[ca]
default_ca = dated
[dated]
database = made/index
new_certs_dir = made
rand_serial = yes
default_md = sha256
policy = any
unique_subject = no
copy_extensions = copy
[any]
commonName = optional
END
: >made/index
OPENSSL_CONF=$PWD/openssl.cnf
export OPENSSL_CONF

EC='ec -pkeyopt ec_paramgen_curve:P-256'
LOCAL='subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1'
CA='basicConstraints=critical,CA:TRUE'
SIGN='keyUsage=critical,keyCertSign,cRLSign'
LEAF='basicConstraints=critical,CA:FALSE'

# Runs a command that is silent unless it fails.
quiet() {
    "$@" >made/log 2>&1 || {
        cat made/log >&2
        echo "make.sh: failed: $*" >&2
        exit 1
    }
}

# cert NAME ISSUER KEYTYPE DIGEST [EXTENSION ...]: NAME.key and made/NAME.pem, signed by ISSUER; "-": by itself.
# Settings from outside: subject, signature (options of the signature).
subject=
signature=
cert() {
    name=$1 issuer=$2 key=$3 digest=$4
    shift 4
    for extension; do
        shift
        set -- "$@" -addext "$extension"
    done
    [ "$issuer" = - ] || set -- "$@" -CA "made/$issuer.pem" -CAkey "$issuer.key"
    # $key and $signature are several words.
    # shellcheck disable=SC2086
    quiet openssl req -x509 -newkey $key -noenc -keyout "$name.key" -out "made/$name.pem" -days 30 "-$digest" \
        $signature -subj "${subject:-/CN=$name}" "$@"
}

# server NAME CHAIN...: NAME.pem from the certificates named, after NAME's own.
server() {
    leaf=$1
    for part; do
        cat "made/$part.pem"
    done >"$leaf.pem"
}

# simple NAME EXTENSION...: a server signed by the CA, with a P-256 key and SHA-256.
simple() {
    only=$1
    shift
    cert "$only" ca "$EC" sha256 "$LEAF" "$@"
    server "$only"
}

# dated NAME ISSUER FROM TO EXTENSION...: like cert, with dates; `openssl req` has none.
dated() {
    name=$1 issuer=$2 from=$3 to=$4
    shift 4
    for extension; do
        shift
        set -- "$@" -addext "$extension"
    done
    # shellcheck disable=SC2086
    quiet openssl req -newkey $EC -noenc -keyout "$name.key" -out made/request -subj "/CN=$name" "$@"
    if [ "$issuer" = - ]; then
        set -- -selfsign -keyfile "$name.key"
    else
        set -- -cert "made/$issuer.pem" -keyfile "$issuer.key"
    fi
    quiet openssl ca -batch -notext -preserveDN -startdate "$from" -enddate "$to" -in made/request \
        -out "made/$name.pem" "$@"
}

# The time so many days from now, as `openssl ca` wants it.
day() {
    date -u -d "@$(($(date +%s) + $1 * 86400))" +%Y%m%d%H%M%SZ
}

# CAs.
subject='/CN=imapconnect test CA'
cert ca - "$EC" sha256 "$CA" "$SIGN"
subject='/CN=imapconnect other CA'
cert ca-other - "$EC" sha256 "$CA" "$SIGN"
subject='/CN=imapconnect SHA-1 CA'
cert ca-sha1 - "$EC" sha1 "$CA" "$SIGN"
subject=
cert by-int ca "$EC" sha256 "$CA,pathlen:0" "$SIGN"
cert by-rsa ca rsa:2048 sha256 "$CA,pathlen:0" "$SIGN"
cert by-rsa1024 ca rsa:1024 sha256 "$CA,pathlen:0" "$SIGN"
cert by-sha1 ca "$EC" sha1 "$CA,pathlen:0" "$SIGN"
cert by-below by-int "$EC" sha256 "$CA" "$SIGN"
cert by-nocertsign ca "$EC" sha256 "$CA,pathlen:0" 'keyUsage=critical,digitalSignature'
cert by-example ca "$EC" sha256 "$CA,pathlen:0" "$SIGN" 'nameConstraints=critical,permitted;DNS:example.org'
dated by-expired ca "$(day -60)" "$(day -1)" "$CA,pathlen:0" "$SIGN"

cp made/ca.pem made/ca-other.pem made/ca-sha1.pem .
quiet openssl x509 -in ca.pem -outform DER -out ca.der
cp ca.pem cadir/
cp ca.pem cadir-mixed/
echo 'Certificates that we trust.' >cadir-mixed/README
: >empty.pem
sed '3d' ca.pem >broken.pem
cp empty.pem broken.pem cadir-mixed/

# Servers that are as they should be.
simple good "$LOCAL"
simple good-lo2 "$LOCAL,IP:127.0.0.2"
simple good-upper 'subjectAltName=DNS:LOCALHOST'
cert good-rsa by-rsa rsa:2048 sha256 "$LEAF" "$LOCAL" && server good-rsa by-rsa
cert good-chain by-int "$EC" sha256 "$LEAF" "$LOCAL" && server good-chain by-int
cp made/good-chain.pem good-partial.pem && cp good-chain.key good-partial.key
cert good-sha1root ca-sha1 "$EC" sha256 "$LEAF" "$LOCAL" && server good-sha1root ca-sha1

# Dates.
dated expired ca "$(day -60)" "$(day -1)" "$LEAF" "$LOCAL" && server expired
dated good-lasthour ca "$(day -60)" "$(date -u -d @$(($(date +%s) + 3600)) +%Y%m%d%H%M%SZ)" "$LEAF" "$LOCAL"
server good-lasthour
dated notyet ca "$(day 1)" "$(day 60)" "$LEAF" "$LOCAL" && server notyet
dated selfsigned-expired - "$(day -60)" "$(day -1)" "$LEAF" "$LOCAL" && server selfsigned-expired
cert int-expired by-expired "$EC" sha256 "$LEAF" "$LOCAL" && server int-expired by-expired

# Trust.
cert selfsigned - "$EC" sha256 "$LEAF" "$LOCAL" && server selfsigned
cert untrusted ca-other "$EC" sha256 "$LEAF" "$LOCAL" && server untrusted
cert notca good "$EC" sha256 "$LEAF" "$LOCAL" && server notca good
cert pathlen by-below "$EC" sha256 "$LEAF" "$LOCAL" && server pathlen by-below by-int
cert nocertsign by-nocertsign "$EC" sha256 "$LEAF" "$LOCAL" && server nocertsign by-nocertsign
cert nameconstraint by-example "$EC" sha256 "$LEAF" "$LOCAL" && server nameconstraint by-example
simple clientonly "$LOCAL" 'extendedKeyUsage=clientAuth'
simple critical "$LOCAL" '1.3.6.1.4.1.99999.1=critical,DER:0500'

# Names.
simple wrongname 'subjectAltName=DNS:other.example'
simple wrongip 'subjectAltName=DNS:other.example,IP:127.0.0.9'
subject='/CN=localhost'
simple cnonly
subject='/CN=localhost'
simple cn-other 'subjectAltName=DNS:other.example'
subject=
simple uri 'subjectAltName=URI:imap://localhost'
simple email 'subjectAltName=email:joe@localhost'
simple ip-as-dns 'subjectAltName=DNS:127.0.0.1,DNS:::1'
simple wild-ip 'subjectAltName=DNS:*.0.0.1'
simple wildcard 'subjectAltName=DNS:*.example.org'
simple wild-top 'subjectAltName=DNS:*.org'
simple wild-partial 'subjectAltName=DNS:f*.example.org'
# SEQUENCE { [2] "localhost" NUL ".example.org" }
simple nul 'subjectAltName=DER:301882166c6f63616c686f7374002e6578616d706c652e6f7267'
names=
number=1
while [ $number -lt 100 ]; do
    names="${names}DNS:host$number.example.org,"
    number=$((number + 1))
done
simple manysan "subjectAltName=${names}DNS:localhost"

# Keys and signatures.
cert rsa1024 ca rsa:1024 sha256 "$LEAF" "$LOCAL" && server rsa1024
cert rsa-int1024 by-rsa1024 "$EC" sha256 "$LEAF" "$LOCAL" && server rsa-int1024 by-rsa1024
cert sha1 by-rsa "$EC" sha1 "$LEAF" "$LOCAL" && server sha1 by-rsa
cert sha1-ecdsa ca "$EC" sha1 "$LEAF" "$LOCAL" && server sha1-ecdsa
cert md5 by-rsa "$EC" md5 "$LEAF" "$LOCAL" && server md5 by-rsa
cert sha1-chain by-sha1 "$EC" sha256 "$LEAF" "$LOCAL" && server sha1-chain by-sha1
cert ed25519 ca ed25519 sha256 "$LEAF" "$LOCAL" && server ed25519
cert p224 ca 'ec -pkeyopt ec_paramgen_curve:P-224' sha256 "$LEAF" "$LOCAL" && server p224
signature='-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest'
cert pss-sha256 by-rsa "$EC" sha256 "$LEAF" "$LOCAL" && server pss-sha256 by-rsa
cert pss-sha1 by-rsa "$EC" sha1 "$LEAF" "$LOCAL" && server pss-sha1 by-rsa
signature=

rm -r made
# The keys of the intermediates have done their work.
rm by-*.key
