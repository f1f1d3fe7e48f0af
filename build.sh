#!/bin/sh
# build.sh: the only script that a person runs.
#
#   ./build.sh          installs what is missing, builds, and shows the library at work against a Dovecot of its own
#   ./build.sh build    installs what is missing, and builds build/imapconnect and the other examples
#   ./build.sh test     installs what is missing, builds, and runs the tests: minutes
#   ./build.sh firmware installs what is missing, builds the image of examples/firmware, and runs it against a Dovecot
#                       of its own; fails when a step or a budget does
#   ./build.sh check    installs what is missing, builds, and runs all that is known to look for faults: the tests, deeper
#                       ones, analyzers, coverage, valgrind and its like, fuzzing, guards taken out, mutation. It takes
#                       about an hour. `check NAME ...`: only these steps; `check -l`: which there are
#   ./build.sh coverage installs what is missing, and says which branches of imapconnect.h the tests take, those with
#                       real servers, too: three minutes. `coverage full`: only the programs
#   ./build.sh fuzz N   installs what is missing, and fuzzes each of the four targets for N seconds
#   ./build.sh size     installs what is missing, and measures code, constants and stack on five processors;
#                       `size rooms` and `size stack` say where it goes, see tests/size.sh
#   ./build.sh help     says this
#
# On Debian and Ubuntu, as root or with sudo, missing packages come from apt; nothing is installed when nothing is
# missing. Elsewhere it says what it needs. A Dovecot that it installs is neither started nor enabled as a service;
# one that is there already is left alone. What it writes is in BUILD_DIR (default: build/ beside this file). Two runs
# at a time do not disturb each other. CC chooses another C compiler for the build.
set -eu

caller=$PWD
cd "$(dirname "$0")"
case ${BUILD_DIR:=$PWD/build} in
/*) ;;
*) BUILD_DIR=$caller/$BUILD_DIR ;;
esac
export BUILD_DIR
CC=${CC:-gcc}
PATH=$PATH:/usr/sbin:/sbin
export PATH

fail() {
    echo "build.sh: $*" >&2
    exit 1
}

# ---- what is missing ----

has() {
    command -v "$1" >/dev/null 2>&1
}

# libFuzzer comes with clang, but in a package of its own.
has_fuzzer() {
    ls "$(clang -print-runtime-dir 2>/dev/null)"/libclang_rt.fuzzer-* >/dev/null 2>&1
}

has_newlib() {
    [ -f "$(arm-none-eabi-gcc -print-file-name=nano.specs 2>/dev/null)" ]
}

has_header() {
    echo "#include <$1>" | gcc -E - >/dev/null 2>&1
}

# The compilers of the processors that size.sh measures.
missing_compilers() {
    has arm-none-eabi-gcc || echo gcc-arm-none-eabi
    has_newlib || echo libnewlib-arm-none-eabi
    has riscv64-unknown-elf-gcc || echo gcc-riscv64-unknown-elf
    [ -f /usr/lib/picolibc/riscv64-unknown-elf/picolibc.specs ] || echo picolibc-riscv64-unknown-elf
}

# Prints the packages that are missing for $1: build, demo, size, firmware, test or check.
missing() {
    has gcc || echo gcc
    has_header stdio.h || echo libc6-dev
    has_header wolfssl/ssl.h || echo libwolfssl-dev
    [ "$1" != build ] || return 0
    [ "$1" = demo ] || missing_compilers
    [ "$1" != size ] || return 0
    has openssl || echo openssl
    has setpriv || echo util-linux
    has dovecot && [ -x /usr/lib/dovecot/imap ] || echo dovecot-imapd
    [ "$1" != demo ] || return 0
    has qemu-system-arm || echo qemu-system-arm
    has dpkg-source || echo dpkg-dev
    [ "$1" != firmware ] || return 0
    has_header cmocka.h || echo libcmocka-dev
    has g++ || echo g++
    has clang++ || echo clang
    has_fuzzer || echo libclang-rt-dev
    has llvm-cov || echo llvm
    [ "$1" != test ] || return 0
    has clang-tidy || echo clang-tidy
    has clang-format || echo clang-format
    has cppcheck || echo cppcheck
    has valgrind || echo valgrind
    has shellcheck || echo shellcheck
}

# ---- installing ----

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        env "$@"
    else
        sudo env "$@"
    fi
}

apt() {
    as_root DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600 "$@"
}

# Debian starts and enables a server as soon as it is installed, which nobody asked for here. The scripts in a package
# call these programs by name: for Dovecot they find others, which do all but that. No file of the system changes.
write_quiet_programs() {
    for program in invoke-rc.d deb-systemd-invoke deb-systemd-helper update-rc.d; do
        real=$(command -v $program) || continue
        case $program in
        deb-systemd-helper) quiet='*was-enabled*dovecot*) exit 1' ;;
        update-rc.d) quiet="*dovecot*defaults*) exec $real dovecot defaults-disabled" ;;
        *) quiet='*dovecot*) exit 0' ;;
        esac
        # shellcheck disable=SC2016
        printf '#!/bin/sh\ncase "$*" in\n%s ;;\nesac\nexec %s "$@"\n' "$quiet" "$real" >"$1/$program"
        chmod 755 "$1/$program"
    done
}

install_packages() {
    quiet_programs=$(mktemp -d "${TMPDIR:-/tmp}/imapconnect-apt.XXXXXX")
    log=$quiet_programs/log
    trap 'rm -rf "$quiet_programs"' EXIT
    trap 'exit 1' HUP INT TERM
    write_quiet_programs "$quiet_programs"
    apt update -qq >"$log" 2>&1 || echo "build.sh: the list of packages could not be renewed" >&2
    path=$quiet_programs:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
    installed=0
    # $1 is several words.
    # shellcheck disable=SC2086
    apt install -y -qq --no-install-recommends -o DPkg::Path="$path" $1 >>"$log" 2>&1 || installed=$?
    [ $installed -eq 0 ] || cat "$log" >&2
    rm -rf "$quiet_programs"
    return $installed
}

# Installs what is missing for $1. One run at a time: what another one has unpacked is there, but not ready.
need() {
    if has flock && [ -d /var/lib/dpkg ]; then
        exec 9</var/lib/dpkg
        flock -w 900 9 || true
    fi
    tries=0
    while packages=$(missing "$1" | tr '\n' ' ') && [ -n "$packages" ]; do
        has apt-get || fail "this system has no apt-get. Needed, under the names of Debian's packages: $packages"
        case $packages in
        *dovecot-imapd*) ! has dovecot || fail "Dovecot is here without its IMAP part. To add it would change" \
            "your server, so please do it yourself: apt-get install dovecot-imapd" ;;
        esac
        [ "$(id -u)" -eq 0 ] || has sudo || fail "needs root, or sudo, to install: $packages"
        tries=$((tries + 1))
        [ $tries -le 3 ] || fail "could not install: $packages"
        echo "build.sh: installing $packages" >&2
        install_packages "$packages" || sleep 2
    done
    exec 9<&-
}

# ---- building ----

# Each program is compiled under another name and then renamed, so that one that runs is never half written.
build() {
    need "$1"
    mkdir -p "$BUILD_DIR" || fail "cannot write to $BUILD_DIR; set BUILD_DIR"
    BUILD_DIR=$(cd "$BUILD_DIR" && pwd)
    trap 'rm -f "$BUILD_DIR"/*.$$' EXIT
    trap 'exit 1' HUP INT TERM
    for source in examples/*.c; do
        program=$BUILD_DIR/$(basename "$source" .c)
        $CC -std=c99 -D_POSIX_C_SOURCE=200809L -O2 "$source" -o "$program.$$" -lwolfssl ||
            fail "$source does not compile"
        mv -f "$program.$$" "$program"
    done
}

# ---- the demo ----

stop_demo() {
    sh tests/dovecot.sh stop "$demo" || true
    rm -rf "$demo"
}

# Shows and runs: connect TITLE MODE PORT COMMAND...
connect() {
    title=$1 mode=$2 port=$3
    shift 3
    printf '\n==== %s\n\n' "$title"
    printf '$ imapconnect -v -s %s -C %s -u %s %s:%s' "$mode" "$CADIR" "$IMAPCONNECT_USER" "$HOST" "$port"
    printf " '%s'" "$@"
    printf '\n'
    # Only the log.
    # shellcheck disable=SC2069
    "$BUILD_DIR/imapconnect" -v -s "$mode" -C "$CADIR" -u "$IMAPCONNECT_USER" "$HOST:$port" "$@" 2>&1 >/dev/null
}

demo() {
    demo=$(mktemp -d "$BUILD_DIR/demo.XXXXXX")
    chmod 755 "$demo"
    trap stop_demo EXIT
    echo "A Dovecot of our own, with a certificate from a CA made just now:"
    sh tests/dovecot.sh start "$demo" || fail "Dovecot does not start"
    # shellcheck disable=SC1091
    . "$demo/env"
    IMAPCONNECT_USER=$USER IMAPCONNECT_PASSWORD=$PASSWORD
    export IMAPCONNECT_USER IMAPCONNECT_PASSWORD
    echo "$HOST, port $IMAP_PORT in clear and with STARTTLS, port $IMAPS_PORT with TLS."

    connect 'not encrypted' none "$IMAP_PORT" NOOP || fail "not encrypted: failed"
    connect 'TLS from the first byte, certificate verified' tls "$IMAPS_PORT" NOOP || fail "TLS: failed"
    connect 'STARTTLS, certificate verified' starttls "$IMAP_PORT" 'EXAMINE INBOX' || fail "STARTTLS: failed"

    printf '\n==== the inbox, over TLS\n\n'
    "$BUILD_DIR/imapconnect" -s tls -C "$CADIR" "$HOST:$IMAPS_PORT" 'EXAMINE INBOX' \
        'FETCH 1:* (FLAGS RFC822.SIZE BODY.PEEK[HEADER.FIELDS (FROM SUBJECT DATE)])' >"$demo/inbox" ||
        fail "the inbox cannot be read"
    # From the first message on; the lines of a header end in CRLF.
    sed -n '/^\* 1 FETCH/,$p' "$demo/inbox" | tr -d '\r'

    stop_demo
    trap - EXIT
    printf '\nDone: logged in without encryption, with TLS and with STARTTLS, read the inbox, stopped the server.\n'
}

case ${1-demo} in
build) build build ;;
demo)
    build demo
    demo
    ;;
test)
    build test
    exec sh tests/run.sh
    ;;
firmware)
    build firmware
    exec sh tests/firmware.sh
    ;;
check)
    build check
    shift
    exec sh tests/check_all.sh "$@"
    ;;
coverage)
    need test
    shift
    [ $# -gt 0 ] || set -- live
    exec sh tests/coverage.sh "$@"
    ;;
fuzz)
    need test
    exec sh tests/fuzz.sh "${2:-60}"
    ;;
size)
    need size
    shift
    exec sh tests/size.sh "$@"
    ;;
help | -h | --help) sed -n '2,/^set -eu/s/^# \{0,1\}//p' build.sh ;;
*)
    sed -n '2,/^set -eu/s/^# \{0,1\}//p' build.sh >&2
    exit 2
    ;;
esac
