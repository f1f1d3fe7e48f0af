#!/bin/sh
# dovecot.sh: a Dovecot of one's own, for tests and for the demo. It touches nothing but DIR and, perhaps, one
# directory in /tmp (see choose_state).
#
#   dovecot.sh start DIR [VARIANT]     starts one; DIR is made, and must not hold one that runs
#   dovecot.sh stop DIR                ends it, and waits until it has ended
#
# VARIANT: normal            CRAM-MD5, PLAIN and LOGIN; the password is taken in clear, too
#          login-only        no CRAM-MD5
#          logindisabled     LOGINDISABLED until TLS is up, and no CRAM-MD5 either
#          cram-only         LOGINDISABLED until TLS is up, but CRAM-MD5
#          no-starttls       no TLS at all; IMAPS_PORT is not there
#          one-login         normal, but one process takes all connections: only so does it know TLS sessions again
#          no-move           no IDLE, no MOVE: it offers IMAP4rev1, NAMESPACE and UIDPLUS. There is a second, public
#                            namespace, Bücher/
#          mechanisms        LOGINDISABLED until TLS is up; all mechanisms of this library but SCRAM-SHA-256-PLUS, with
#                            the users of `mechanism_users`. For Dovecot 2.3 alone: 2.4 names all of it differently
#
# It listens on free ports of the loopback alone, IPv4 and, where the machine has it, IPv6. DIR/env says where and for
# whom, as variables of the shell:
#
#   HOST                127.0.0.1; 127.0.0.2 with logindisabled, cram-only and mechanisms, since for Dovecot a client
#                       with the server's own address is as good as one with TLS
#   HOST6               ::1, or empty: without IPv6, and with HOST 127.0.0.2
#   IMAP_PORT           plain, with STARTTLS
#   IMAP2_PORT          a second one of the same kind
#   IMAPS_PORT          TLS from the first byte
#   CAFILE CADIR CERTS  the CA of the server's certificate (localhost, 127.0.0.1, ::1, 127.0.0.2), the folder
#                       with it, and all that certs/make.sh makes
#   USER PASSWORD       joe, secret
#   QUOTE_USER  QUOTE_PASSWORD   with quotes, backslashes and spaces in both
#   UTF8_USER   UTF8_PASSWORD    with bytes above 0x7f
#   LONG_USER   LONG_PASSWORD    a password of 255 bytes
#   EMPTY_USER  EMPTY_PASSWORD   an empty password
#   HASHED_USER HASHED_PASSWORD  only a hash is stored, so CRAM-MD5 fails and LOGIN works
#   BIG_NUMBER BIG_FILE BIG_SIZE  sequence number of a message of 5 MB in INBOX; the same in a file as it must
#                       arrive, with CRLF; how long it is
#   MESSAGES            number of messages in INBOX, all but the last one small
#   LOG                 Dovecot's log
#   STATE               the directory with all that it reads and writes
#
# All users share one INBOX, but for own1 to own9 and bare1 to bare3. Each of these has mail of their own, in
# STATE/own/NAME, empty at first, with / between the levels of a name, and the password of USER. Those named bare are
# offered IMAP4rev1 and nothing else.
#
# If the environment says CERTS=DIRECTORY, these certificates are used, else they are made in DIR/certs.
# As root Dovecot runs with its own users and reads mail as `nobody`, otherwise all is the caller's.
set -eu

usage() {
    sed -n '2,/^set -eu/s/^# \{0,1\}//p' "$0" >&2
    exit 2
}

root=$(cd "$(dirname "$0")/.." && pwd)
action=${1:-} dir=${2:-} variant=${3:-normal}
[ -n "$dir" ] || usage

PATH=$PATH:/usr/sbin:/sbin
export PATH

mails() {
    mkdir -p "$state/mail/cur" "$state/mail/new" "$state/mail/tmp"
    (
        cd "$state/mail/cur"
        # Maildir numbers the messages by the time in front of the name.
        cat >1700000001.M1.localhost:2,S <<'END'
Return-Path: <ada@example.org>
Received: from mail.example.org (mail.example.org [192.0.2.25])
	by mx.example.net (Postfix) with ESMTPS id 4B1F02C0
	for <joe@example.net>; Mon, 13 Nov 2023 09:14:07 +0000 (UTC)
From: Ada Lovelace <ada@example.org>
To: Joe Q. Public <joe@example.net>
Subject: Notes on the engine
Date: Mon, 13 Nov 2023 09:14:05 +0000
Message-ID: <20231113091405.1@example.org>
MIME-Version: 1.0
Content-Type: text/plain; charset=us-ascii

Dear Joe,

the engine weaves algebraic patterns just as the loom weaves
flowers and leaves. The table is finished; see note G.

Ada
END
        cat >1700000002.M2.localhost:2,FS <<'END'
Return-Path: <rene@example.org>
From: =?UTF-8?Q?Ren=C3=A9_Descartes?= <rene@example.org>
To: joe@example.net
Cc: "Public, Joe \"Q.\"" <joe.public@example.net>
Subject: =?UTF-8?B?R3LDvMOfZSBhdXMgWsO8cmljaCDigJMgdW5kIHp3ZWkgQmlsZGVy?=
Date: Tue, 14 Nov 2023 18:30:00 +0100
Message-ID: <20231114183000.2@example.org>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="=_cut_here"

This is a message in several parts.
--=_cut_here
Content-Type: multipart/alternative; boundary="=_and_here"

--=_and_here
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

Grüße aus Zürich – und zwei Bilder. (Naïve café.)
--=_and_here
Content-Type: text/html; charset=utf-8
Content-Transfer-Encoding: quoted-printable

<p>Gr=C3=BC=C3=9Fe aus Z=C3=BCrich =E2=80=93 und zwei Bilder.</p>
--=_and_here--
--=_cut_here
Content-Type: image/gif
Content-Transfer-Encoding: base64
Content-Disposition: attachment; filename="dot.gif"

R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7
--=_cut_here--
END
        cat >1700000003.M3.localhost:2, <<'END'
From: MAILER-DAEMON@example.net (Mail Delivery System)
To: joe@example.net
Subject: Undelivered mail
 returned to sender
Date: Wed, 15 Nov 2023 02:00:00 -0800
Message-ID: <20231115020000.3@example.net>
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: text/plain

The text below looks like IMAP, and is none.
)
* BYE not really
a1 OK done
* 1 FETCH (BODY[] {5}
{10}
.
END
        cat >1700000004.M4.localhost:2, <<'END'
From: <grace@example.org>
To: joe@example.net
Date: Thu, 16 Nov 2023 12:00:00 +0000
Message-ID: <20231116120000.4@example.org>

END
        big '\n' >1700000005.M5.localhost:2,
        touch -d 2023-11-13T09:14:07Z 1700000001.*
        touch -d 2023-11-14T17:30:02Z 1700000002.*
        touch -d 2023-11-15T10:00:03Z 1700000003.*
        touch -d 2023-11-16T12:00:01Z 1700000004.*
        touch -d 2023-11-17T00:00:00Z 1700000005.*
    )
    mkdir -p "$state/index" "$state/home"
    # A mailbox whose name needs modified UTF-7, and one whose name needs quotes.
    for folder in '.Entw&APw-rfe' '.with "quote"'; do
        mkdir -p "$state/mail/$folder/cur" "$state/mail/$folder/new" "$state/mail/$folder/tmp"
        : >"$state/mail/$folder/maildirfolder"
    done
    printf '%s\n' INBOX 'Entw&APw-rfe' 'with "quote"' >"$state/index/subscriptions"
    big '\r\n' >"$dir/big.eml"
}

# A message of 5 MB and a bit: every byte but NUL, CR and LF in each line, lines of 300 bytes to 80,000, each with
# a number, so that nothing can be lost or swapped unseen; "\r\n" only where a line ends.
big() {
    LC_ALL=C awk -v eol="$1" 'BEGIN {
        for (i = 1; i < 256; i++) if (i != 10 && i != 13) all = all sprintf("%c", i)
        printf "From: big@example.org%sTo: joe@example.net%sSubject: Five megabytes%s", eol, eol, eol
        printf "Date: Fri, 17 Nov 2023 00:00:00 +0000%sMessage-ID: <big@example.org>%s%s", eol, eol, eol
        size = 0
        for (n = 1; size < 5 * 1024 * 1024; n++) {
            line = sprintf("%08d ", n) all
            printf "%s", line
            size += length(line) + 1
            if (n % 500 == 0) for (i = 1; i < 300; i++) { printf "%s", line; size += length(line) }
            printf "%s%s)%sa1 OK FETCH {7}%s", eol, eol, eol, eol
        }
    }'
}

# Dovecot looks a name up with a backslash before each quote and each backslash of it.
users() {
    long=$(awk 'BEGIN { for (i = 0; i < 255; i++) printf "%c", 97 + i % 26 }')
    hashed=$(openssl passwd -6 -salt imapconnect hashsecret)
    cat >"$state/users" <<END
joe:{PLAIN}secret::::::
q\\"u\\\\o te:{PLAIN}a "b" \\c d ::::::
jörg:{PLAIN}pässwörd €::::::
long:{PLAIN}$long::::::
empty:{PLAIN}::::::
hash:{SHA512-CRYPT}$hashed::::::
END
    mkdir -p "$state/own" "$state/public"
    : >"$state/own-users"
    for name in own1 own2 own3 own4 own5 own6 own7 own8 own9 bare1 bare2 bare3; do
        echo "$name:{PLAIN}secret::::::" >>"$state/users"
        own_mail $name >>"$state/own-users"
    done
}

# What only one mechanism takes: verifiers as a SCRAM server stores them, RFC 5803, and a key to check tokens with,
# of which JWTs with "alg" HS256 and without "azp" and "kid" are made. The key has no byte that base64 makes a / of.
mechanism_users() {
    for hash in 1 256; do
        printf 'scram-%s:%s::::::\n' $hash "$(doveadm -c /dev/null pw -s SCRAM-SHA-$hash -p scramsecret)" >>"$state/users"
    done
    mkdir -p "$state/keys/default/HS256"
    printf %s 'a key for tests of tokens, no more' | openssl base64 -A >"$state/keys/default/HS256/default"
    cat >"$state/oauth2" <<END
introspection_mode = local
local_validation_key_dict = fs:posix:prefix=$state/keys/
username_attribute = sub
END
}

# A certificate of the CA names its owner in CN.
mechanisms_of_2_3() {
    cat <<END
ssl_ca = <$certs/ca.pem
ssl_verify_client_cert = yes
ssl_require_crl = no
auth_ssl_username_from_cert = yes
passdb {
  driver = static
  mechanisms = external
  args = nopassword=y
}
passdb {
  driver = oauth2
  mechanisms = oauthbearer xoauth2
  args = $state/oauth2
}
END
}

# Prints where a user with mail of their own has it, in the names of this version of Dovecot.
own_mail() {
    fields="userdb_mail=maildir:$state/own/$1:LAYOUT=fs"
    case $version in
    2.[0-3].*) ;;
    *)
        fields="userdb_mail_path=$state/own/$1 userdb_mailbox_list_layout=fs"
        fields="$fields userdb_mail_index_path= userdb_mail_control_path="
        ;;
    esac
    case $1 in bare*) fields="$fields userdb_imap_capability=IMAP4rev1" ;; esac
    echo "$1::$mail_uid:$mail_gid::$state/home::$fields"
}

# Dovecot keeps all that it reads and writes in one directory, the state. Its users must reach it, the paths of
# sockets are short, and blanks mean something in its configuration: where DIR is not fit, it is in /tmp, and `stop`
# removes it.
choose_state() {
    state=$dir/state
    rm -rf "$state"
    mkdir -p "$state"
    chmod 755 "$dir" "$state"
    case $state in
    *[!A-Za-z0-9._/-]*) ;;
    *) [ ${#state} -gt 60 ] || ! reachable "$state" || return 0 ;;
    esac
    rmdir "$state"
    state=$(mktemp -d /tmp/imapconnect.XXXXXX)
    chmod 755 "$state"
}

reachable() {
    [ "$uid" -ne 0 ] || setpriv --reuid=65534 --regid=65534 --clear-groups test -x "$1" -a -r "$1"
}

# free N: a port that nobody listens on, probably; another one for each N.
free() {
    seed=$(od -An -N4 -tu4 /dev/urandom)
    echo $((20000 + (seed + $1 * 7) % 12000))
}

# What the two versions of Dovecot name differently.
names_of_2_3() {
    cat <<END
mail_location = maildir:$state/mail:INDEX=$state/index:CONTROL=$state/index
ssl_cert = <$state/server.pem
ssl_key = <$state/server.key
disable_plaintext_auth = $refuse_clear
auth_username_format = %u
passdb {
  driver = passwd-file
  args = $state/users
}
userdb {
  driver = passwd-file
  args = $state/own-users
}
userdb {
  driver = static
  args = uid=$mail_uid gid=$mail_gid home=$state/home
}
END
}

names_of_2_4() {
    allow_clear=yes
    [ $refuse_clear = no ] || allow_clear=no
    cat <<END
mail_driver = maildir
mail_path = $state/mail
mail_index_path = $state/index
mail_control_path = $state/index
ssl_server_cert_file = $state/server.pem
ssl_server_key_file = $state/server.key
auth_allow_cleartext = $allow_clear
auth_username_format = %{user}
passdb passwd-file {
  passwd_file_path = $state/users
}
userdb passwd-file {
  passwd_file_path = $state/own-users
}
userdb static {
  fields {
    uid = $mail_uid
    gid = $mail_gid
    home = $state/home
  }
}
END
}

# What the variant no-move has less, and more.
less_and_more() {
    location="location = maildir:$state/public:LAYOUT=fs"
    case $version in
    2.[0-3].*) ;;
    *) location="mail_path = $state/public" ;;
    esac
    cat <<END
protocol imap {
  imap_capability = IMAP4rev1 NAMESPACE UIDPLUS
}
namespace inbox {
  inbox = yes
  separator = /
}
namespace books {
  type = public
  prefix = Bücher/
  separator = /
  $location
}
END
}

# Chooses ports, and prints the configuration.
configuration() {
    IMAP_PORT=$(free 1) IMAP2_PORT=$(free 2) IMAPS_PORT=$(free 3)
    imaps="port = $IMAPS_PORT
    ssl = yes"
    [ $tls != no ] || imaps='port = 0' IMAPS_PORT=
    case $version in
    2.[0-3].*) ;;
    *) printf 'dovecot_config_version = %s\ndovecot_storage_version = %s\n' "$version" "$version" ;;
    esac
    cat <<END
base_dir = $state/run
state_dir = $state/lib
log_path = $state/dovecot.log
auth_verbose = yes
instance_name = imapconnect-$IMAP_PORT
listen = $listen
protocols = imap
default_internal_user = $internal
default_internal_group = $internal_group
default_login_user = $login
default_process_limit = 200
default_client_limit = 1000
mail_uid = $mail_uid
mail_gid = $mail_gid
first_valid_uid = 1
mail_max_userip_connections = 1000
mailbox_list_index = no
# Nothing here must outlive a crash.
mail_fsync = never
ssl = $tls
auth_mechanisms = $mechanisms
auth_username_chars =
auth_failure_delay = 0
service imap-login {
  chroot =
  process_min_avail = 1
  service_count = $connections
  inet_listener imap {
    port = $IMAP_PORT
  }
  inet_listener imap2 {
    port = $IMAP2_PORT
  }
  inet_listener imaps {
    $imaps
  }
}
service anvil {
  chroot =
  # Without it each wrong password makes the next answer slower.
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
service auth {
  user = $internal
}
service auth-worker {
  user = $internal
}
END
    [ "$variant" != no-move ] || less_and_more
    [ "$variant" != mechanisms ] || mechanisms_of_2_3
    case $version in
    2.[0-3].*) names_of_2_3 ;;
    *) names_of_2_4 ;;
    esac
}

# Quotes a text for the shell.
quote() {
    printf "'"
    printf %s "$1" | sed "s/'/'\\\\''/g"
    printf "'\n"
}

write_env() {
    size=$(wc -c <"$dir/big.eml")
    cat >"$dir/env" <<END
HOST=$host
HOST6=$host6
IMAP_PORT=$IMAP_PORT
IMAP2_PORT=$IMAP2_PORT
IMAPS_PORT=$IMAPS_PORT
CERTS=$(quote "$certs")
CAFILE=$(quote "$certs/ca.pem")
CADIR=$(quote "$certs/cadir")
USER=joe
PASSWORD=secret
QUOTE_USER=$(quote "q\"u\\o te")
QUOTE_PASSWORD=$(quote "a \"b\" \\c d ")
UTF8_USER='jörg'
UTF8_PASSWORD='pässwörd €'
LONG_USER=long
LONG_PASSWORD=$long
EMPTY_USER=empty
EMPTY_PASSWORD=
HASHED_USER=hash
HASHED_PASSWORD=hashsecret
MESSAGES=5
BIG_NUMBER=5
BIG_FILE=$(quote "$dir/big.eml")
BIG_SIZE=$((size))
LOG=$(quote "$LOG")
STATE=$(quote "$state")
END
}

identity() {
    uid=$(id -u)
    if [ "$uid" -eq 0 ]; then
        internal=dovecot internal_group=dovecot login=dovenull
        mail_uid=65534 mail_gid=65534
    else
        internal=$(id -un) internal_group=$(id -gn) login=$internal
        mail_uid=$uid mail_gid=$(id -g)
    fi
}

start() {
    command -v dovecot >/dev/null || {
        echo "dovecot.sh: dovecot is not installed" >&2
        exit 1
    }
    mkdir -p "$dir"
    dir=$(cd "$dir" && pwd)
    [ ! -f "$dir/env" ] || {
        echo "dovecot.sh: $dir is in use" >&2
        exit 1
    }
    host=127.0.0.1 host6='' mechanisms='plain login cram-md5' refuse_clear=no tls=yes connections=1
    ! grep -qs "^0\{31\}1 " /proc/net/if_inet6 || host6=::1
    case $variant in
    normal | no-move) ;;
    one-login) connections=0 ;;
    login-only) mechanisms='plain login' ;;
    logindisabled) refuse_clear=yes tls=required host=127.0.0.2 host6= ;;
    cram-only) refuse_clear=yes host=127.0.0.2 host6= ;;
    no-starttls) tls=no ;;
    mechanisms)
        refuse_clear=yes host=127.0.0.2 host6=
        mechanisms='plain login cram-md5 scram-sha-1 scram-sha-256 external oauthbearer xoauth2'
        ;;
    *) usage ;;
    esac
    identity
    version=$(dovecot --version | sed 's/[^0-9.].*//')
    choose_state
    listen=$host${host6:+, $host6}
    if [ -n "${CERTS:-}" ]; then
        certs=$(cd "$CERTS" && pwd)
    else
        certs=$dir/certs
        sh "$root/certs/make.sh" "$certs"
    fi
    cp "$certs/good-lo2.pem" "$state/server.pem"
    cp "$certs/good-lo2.key" "$state/server.key"
    mails
    users
    [ "$variant" != mechanisms ] || mechanism_users
    [ "$uid" -ne 0 ] || chown -R "$mail_uid:$mail_gid" "$state/mail" "$state/index" "$state/home" "$state/own" "$state/public"
    [ "$uid" -ne 0 ] || chown "$internal" "$state/users" "$state/own-users"
    chmod 600 "$state/users" "$state/own-users"
    LOG=$state/dovecot.log
    tries=0
    # A port may be taken by others between the choice and the start: then other ports.
    until configuration >"$state/dovecot.conf" && write_env &&
        dovecot -c "$state/dovecot.conf" >"$state/start.err" 2>&1; do
        tries=$((tries + 1))
        if [ $tries -ge 20 ] || ! grep -qs 'Address already in use' "$state/start.err" "$LOG"; then
            cat "$state/start.err" "$LOG" >&2 || true
            stop
            echo "dovecot.sh: Dovecot does not start" >&2
            exit 1
        fi
        rm -f "$LOG"
    done
}

# Ends the Dovecot of DIR, which the file of its master process names.
stop() {
    [ -f "$dir/env" ] || return 0
    dir=$(cd "$dir" && pwd)
    # shellcheck disable=SC1091
    . "$dir/env"
    # shellcheck disable=SC2153
    pid=$(cat "$STATE/run/master.pid" 2>/dev/null) || pid=
    # The number may be another's by now.
    if [ -n "$pid" ] && grep -qsF "$STATE/dovecot.conf" "/proc/$pid/cmdline" && kill "$pid" 2>/dev/null; then
        tries=0
        while kill -0 "$pid" 2>/dev/null; do
            tries=$((tries + 1))
            [ $tries -le 100 ] || {
                echo "dovecot.sh: process $pid does not end" >&2
                exit 1
            }
            sleep 0.1
        done
    fi
    rm -f "$dir/env"
    case $STATE in
    /tmp/imapconnect.*) rm -rf "$STATE" ;;
    esac
}

case $action in
start) start ;;
stop) stop ;;
*) usage ;;
esac
