#!/bin/sh
# hygiene.sh: is imapconnect.h a good guest in other people's programs?
#
# Every way to include it is compiled with all warnings as errors, linked, and run: a misspelt switch compiles, too,
# but does not pass (see tests/hygiene/use.c). Then the object is looked at: names, sections, symbols.
#
#   hygiene.sh         every order, every family of compilers, every switch
#   hygiene.sh deep    each compiler in each order, in each standard and at each level of optimisation
set -u
case ${depth:=${1:-usual}} in
usual | deep) ;;
*)
    echo "usage: hygiene.sh [deep]" >&2
    exit 2
    ;;
esac

cd "$(dirname "$0")/.." || exit 1
BUILD_DIR=${BUILD_DIR:-$PWD/build}
work=$(mktemp -d "$BUILD_DIR/hygiene.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# shellcheck source=tests/check.sh
. tests/check.sh
posix=-D_POSIX_C_SOURCE=200809L
here=tests/hygiene

# compile_and_run LANGUAGE COMPILER OPTION...: one unit with the implementation, and main.
compile_and_run() {
    language=$1 compiler=$2
    shift 2
    # shellcheck disable=SC2086
    "$compiler" -x "$language" $warnings -DUSE=use_a -DIMPLEMENT "$@" $here/use.c $here/main.c \
        -o "$work/program" -lwolfssl && "$work/program"
}

# object NAME OPTION...: the implementation alone, as small as a firmware wants it.
object() {
    output=$1
    shift
    # shellcheck disable=SC2086
    gcc -std=c99 $posix $warnings -Wvla -Os -fno-pic "$@" -c $here/implement.c -o "$output"
}

# ---- compilers, standards, orders ----

# in_order ORDER: in C and in C++ by both families.
in_order() {
    check "gcc c99, order $1" compile_and_run c gcc -std=c99 $posix -DORDER="$1"
    check "clang c99, order $1" compile_and_run c clang -std=c99 $posix -DORDER="$1"
    check "g++ c++17, order $1" compile_and_run c++ g++ -std=c++17 -DORDER="$1"
    check "clang++ c++17, order $1" compile_and_run c++ clang++ -std=c++17 -DORDER="$1"
}

# What an optimiser sees, it warns about; it takes its time.
deep() {
    for order in 2 3 4; do
        in_order $order
    done
    for standard in c11 c17; do
        check "gcc $standard" compile_and_run c gcc -std=$standard $posix -DORDER=1
        check "clang $standard" compile_and_run c clang -std=$standard $posix -DORDER=1
    done
    for standard in c++11 c++14 c++20; do
        check "g++ $standard" compile_and_run c++ g++ -std=$standard -DORDER=1
        check "clang++ $standard" compile_and_run c++ clang++ -std=$standard -DORDER=1
    done
    for level in -O1 -Os -O3; do
        check "gcc $level" compile_and_run c gcc -std=c99 $posix $level -DORDER=2
    done
    check "clang -O2" compile_and_run c clang -std=c99 $posix -O2 -DORDER=2
    check "g++ -O2" compile_and_run c++ g++ -std=c++17 -O2 -DORDER=2
}

usual() {
    check "gcc c99, order 2" compile_and_run c gcc -std=c99 $posix -DORDER=2
    check "clang c99, order 3" compile_and_run c clang -std=c99 $posix -DORDER=3
    check "clang++ c++17, order 4" compile_and_run c++ clang++ -std=c++17 -DORDER=4
    check "gcc c17" compile_and_run c gcc -std=c17 $posix -DORDER=1
    check "g++ c++11" compile_and_run c++ g++ -std=c++11 -DORDER=1
    check "g++ c++20" compile_and_run c++ g++ -std=c++20 -DORDER=1
}

in_order 1
$depth
check "gcc -O2" compile_and_run c gcc -std=c99 $posix -O2 -DORDER=2
check "gcc, its own standard" compile_and_run c gcc -DORDER=1
check "clang, its own standard" compile_and_run c clang -DORDER=1

# Without _POSIX_C_SOURCE the header must say what to do.
gcc -std=c99 -c $here/implement.c -o "$work/none.o" >"$work/out" 2>&1
if grep -q 'error.*_POSIX_C_SOURCE' "$work/out"; then
    ok "c99 without _POSIX_C_SOURCE: advice"
else
    not_ok "c99 without _POSIX_C_SOURCE: advice" "no #error names it"
fi

# ---- more than one unit ----

# units NAME OPTIONS_A OPTIONS_B: use_a with OPTIONS_A and use_b with OPTIONS_B in one program.
units() {
    # shellcheck disable=SC2086
    gcc -std=c99 $posix $warnings -DORDER=1 -DUSE=use_a $1 -c $here/use.c -o "$work/a.o" &&
        gcc -std=c99 $posix $warnings -DORDER=1 -DUSE=use_b $2 -c $here/use.c -o "$work/b.o" &&
        gcc -std=c99 $warnings -DTWO_UNITS $here/main.c "$work/a.o" "$work/b.o" $3 -o "$work/program" -lwolfssl &&
        "$work/program"
}

check "implementation in a unit of its own" object "$work/implement.o"
check "two units, implementation in one" units -DIMPLEMENT -UIMPLEMENT ''
check "two units and the implementation in a third" units '' '' "$work/implement.o -no-pie"
check "two units, both static" units '-DIMPLEMENT -DIMAPCONNECT_STATIC' '-DIMPLEMENT -DIMAPCONNECT_STATIC' ''
empty "static: nothing exported" "$(nm -g --defined-only "$work/a.o" | awk '{print $3}' | grep -v '^use_a$')"
check "READ_SIZE differs: refused" units -DIMPLEMENT '-DIMAPCONNECT_READ_SIZE=1024 -DEXPECT_LAYOUT' ''
check "LOG_SIZE differs: refused" units -DIMPLEMENT '-DIMAPCONNECT_LOG_SIZE=200 -DEXPECT_LAYOUT' ''
check "READ_SIZE alike: taken" units '-DIMPLEMENT -DIMAPCONNECT_READ_SIZE=1024' '-DIMAPCONNECT_READ_SIZE=1024' ''
echo '#define IMAPCONNECT_READ_SIZE 2048' >"$work/config.h"
config="-DREAD_SIZE=2048 -DIMAPCONNECT_CONFIG_H=\"$work/config.h\""
check "limits from IMAPCONNECT_CONFIG_H" units "-DIMPLEMENT $config" "$config" ''

# C and C++ in one program: the names are C's.
cxx_uses_c() {
    # shellcheck disable=SC2086
    g++ -std=c++11 $warnings -DORDER=1 -DUSE=use_a -x c++ $here/use.c $here/main.c -x none "$work/implement.o" \
        -no-pie -o "$work/program" -lwolfssl && "$work/program"
}
check "C++ calls the implementation in C" cxx_uses_c

# ---- switches ----

# A folder in which each header of wolfSSL is an error: what compiles with it does not need wolfSSL.
without=$work/without
(cd /usr/include && find wolfssl -type d) | sed "s,^,$without/," | xargs mkdir -p
(cd /usr/include && find wolfssl -name '*.h') | while read -r file; do
    echo '#error "no wolfSSL here"' >"$without/$file"
done
if object "$work/trap.o" -I"$without" >/dev/null 2>&1; then
    not_ok "the trap for wolfSSL's headers works" "it let them through"
else
    ok "the trap for wolfSSL's headers works"
fi

# alone NAME OPTION...: NO_TLS: compiled with the trap, linked without the library.
alone() {
    # shellcheck disable=SC2086
    gcc -std=c99 $posix $warnings -O2 -I"$without" -DORDER=2 -DUSE=use_a -DIMPLEMENT -DIMAPCONNECT_NO_TLS "$@" \
        $here/use.c $here/main.c -o "$work/program" && "$work/program"
}

no_tls_options=-DIMAPCONNECT_NO_TLS_OPTIONS
no_tls=-DIMAPCONNECT_NO_TLS no_sockets=-DIMAPCONNECT_NO_SOCKETS no_strings=-DIMAPCONNECT_NO_STRINGS
check "NO_TLS" compile_and_run c gcc -std=c99 $posix -DORDER=1 $no_tls
check "NO_TLS, wolfSSL not installed" alone
check "NO_SOCKETS" compile_and_run c gcc -std=c99 -DORDER=1 $no_sockets
check "NO_STRINGS" compile_and_run c gcc -std=c99 $posix -DORDER=1 $no_strings
check "NO_SOCKETS, NO_STRINGS" compile_and_run c clang -std=c99 -DORDER=1 $no_sockets $no_strings
check "all three, wolfSSL not installed" alone $no_sockets $no_strings
check "all three, clang" compile_and_run c clang -std=c99 -DORDER=1 $no_tls $no_sockets $no_strings
check "all three, C++" compile_and_run c++ g++ -std=c++11 -DORDER=1 $no_tls $no_sockets $no_strings

check "NO_TLS_OPTIONS" compile_and_run c gcc -std=c99 $posix -DORDER=1 $no_tls_options
check "NO_TLS_OPTIONS, C++" compile_and_run c++ clang++ -std=c++17 -DORDER=1 $no_tls_options
check "NO_TLS_OPTIONS, NO_COMMANDS" compile_and_run c clang -std=c99 $posix -DORDER=1 $no_tls_options \
    -DIMAPCONNECT_NO_COMMANDS
check "NO_TLS_OPTIONS, wolfSSL not installed" alone $no_tls_options
check "NO_TLS_OPTIONS in one unit alone: refused" units -DIMPLEMENT "$no_tls_options -DEXPECT_LAYOUT" ''
no_sasl=-DIMAPCONNECT_NO_SASL no_scram=-DIMAPCONNECT_NO_SCRAM
for switch in $no_sasl $no_scram; do
    check "$switch" compile_and_run c gcc -std=c99 $posix -DORDER=1 "$switch"
    check "$switch, C++" compile_and_run c++ clang++ -std=c++17 -DORDER=1 "$switch"
    check "$switch, wolfSSL not installed" alone "$switch"
    check "$switch in one unit alone: refused" units -DIMPLEMENT "$switch -DEXPECT_LAYOUT" ''
    check "$switch, NO_COMMANDS, NO_TLS_OPTIONS" compile_and_run c clang -std=c99 $posix -DORDER=1 "$switch" \
        -DIMAPCONNECT_NO_COMMANDS $no_tls_options
done
for missing in NO_FILESYSTEM NO_ASN_TIME NO_SESSION_CACHE WOLFSSL_NO_CLIENT_AUTH; do
    echo "#include <wolfssl/options.h>
#define $missing" >"$work/user_settings.h"
    check "config.tls with a wolfSSL that has $missing: compiles" object "$work/missing.o" -DWOLFSSL_USER_SETTINGS \
        -I"$work" -I/usr/include
done

# Called too late, the callback's refusal of an intermediate certificate does not undo what wolfSSL has kept of it.
for missing in WOLFSSL_ALWAYS_VERIFY_CB WOLFSSL_VERIFY_CB_ALL_CERTS; do
    echo "#include <wolfssl/options.h>
#undef $missing" >"$work/user_settings.h"
    object "$work/missing.o" -DWOLFSSL_USER_SETTINGS -I"$work" -I/usr/include >"$work/out" 2>&1
    if grep -q "error.*$missing" "$work/out"; then
        ok "a wolfSSL without $missing: advice"
    else
        not_ok "a wolfSSL without $missing: advice" "no #error names it"
    fi
done

# Each group of commands can be left out, alone and with the others, and leaves nothing behind that is unused.
groups='MAILBOXES MESSAGES SEARCH APPEND IDLE'
for group in $groups COMMANDS; do
    check "NO_$group" compile_and_run c gcc -std=c99 $posix -DORDER=1 -DIMAPCONNECT_NO_"$group"
    only=
    for other in $groups; do
        [ "$other" = "$group" ] || only="$only -DIMAPCONNECT_NO_$other"
    done
    # shellcheck disable=SC2086
    check "only $group" compile_and_run c clang -std=c99 $posix -DORDER=1 $only
done
check "NO_COMMANDS, C++" compile_and_run c++ g++ -std=c++11 -DORDER=1 -DIMAPCONNECT_NO_COMMANDS $no_tls

# wolfSSL built in other ways than Debian's; variants.sh builds and runs them.
without_malloc='-DWOLFSSL_STATIC_MEMORY -DWOLFSSL_NO_MALLOC'
for settings in -DNO_MD5 -DNO_FILESYSTEM -DSINGLE_THREADED "$without_malloc -DWOLFSSL_DYN_CERT"; do
    # Several words.
    # shellcheck disable=SC2086
    check "wolfSSL with $settings" object "$work/settings.o" -DWOLFSSL_USER_SETTINGS -Itests/variants $settings
done
# shellcheck disable=SC2086
object "$work/settings.o" -DWOLFSSL_USER_SETTINGS -Itests/variants $without_malloc >"$work/out" 2>&1
if grep -q 'error.*WOLFSSL_DYN_CERT' "$work/out"; then
    ok "WOLFSSL_NO_MALLOC without WOLFSSL_DYN_CERT: advice"
else
    not_ok "WOLFSSL_NO_MALLOC without WOLFSSL_DYN_CERT: advice" "no #error names it"
fi

# ---- the object ----

# No heap, no stdio, nothing that exits: what is not in these lists must not be called.
memory='memcpy memmove memset memcmp memchr strlen strcmp strncmp strchr'
compiler='__assert_fail __stack_chk_fail _GLOBAL_OFFSET_TABLE_'
files='opendir readdir closedir stat fstat open read close __errno_location'
sockets='socket connect send recv close fcntl poll getaddrinfo freeaddrinfo getsockopt setsockopt clock_gettime'

# strangers PREFIXES NAME...: what the object calls and is neither one of NAME nor begins with one of PREFIXES.
strangers() {
    prefixes=$1
    shift
    nm -u "$work/object.o" | awk '{print $NF}' | grep -Ev "^($prefixes)" | while read -r name; do
        case " $(echo "$@" | tr '\n' ' ') " in
        *" $name "*) ;;
        *) echo "$name" ;;
        esac
    done
}

exported() {
    nm -g --defined-only "$work/object.o" | awk '{print $3}' | sort
}

# inspect NAME OPTION...: compiles $work/object.o, for these checks and for the next ones.
inspect() {
    name=$1
    shift
    check "$name: compiles" object "$work/object.o" "$@"
    empty "$name: exported names begin with imapconnect" "$(exported | grep -Ev '^imapconnect(_|$)')"
    empty "$name: nothing writable" "$(writable_in "$work/object.o")"
}

wolf='wolfSSL|wc_|Base64_'
inspect "whole"
empty "whole: calls libc and wolfSSL alone" "$(strangers "$wolf" "$memory $compiler $files $sockets")"
sed -n 's/^IMAPCONNECT_API .*[ *]\(imapconnect[a-z0-9_]*\)(.*/\1/p' imapconnect.h | sort -u >"$work/declared"
exported >"$work/exported"
check "whole: calls are told" object "$work/calls.o" -O0 -fcallgraph-info
empty "whole: no function calls itself" "$(recursive_in "$work/calls.ci")"
check "what is declared is what is exported" diff "$work/declared" "$work/exported"
inspect "NO_TLS" $no_tls
empty "NO_TLS: calls libc alone" "$(strangers - "$memory $compiler $files $sockets")"
inspect "NO_TLS_OPTIONS" $no_tls_options
empty "NO_TLS_OPTIONS: no certificates of ours, no pins, no tickets" \
    "$(nm "$work/object.o" | grep 'icket\|SESSION\|PrivateKey\|_set_timeout')"
inspect "NO_TLS_OPTIONS, NO_SCRAM" $no_tls_options $no_scram
empty "NO_TLS_OPTIONS, NO_SCRAM: no SHA of ours, nothing random" "$(nm "$work/object.o" | grep 'Sha\|RNG\|keying')"
inspect "NO_SASL" $no_sasl $no_strings
empty "NO_SASL: no mechanism but the documented ones" \
    "$(strings "$work/object.o" | grep 'SCRAM\|OAUTH\|PLAIN\|EXTERNAL')"
inspect "NO_SOCKETS" $no_sockets
empty "NO_SOCKETS: calls wolfSSL, memory and files alone" "$(strangers "$wolf" "$memory $compiler $files")"
inspect "NO_STRINGS" $no_strings
empty "NO_STRINGS: no texts" "$(strings "$work/object.o" | grep 'out of memory\|IMAPCONNECT_E_')"
inspect "NO_COMMANDS" -DIMAPCONNECT_NO_COMMANDS
empty "NO_COMMANDS: none is exported" "$(exported | grep 'mailbox\|message\|idle\|search\|append\|enable')"
inspect "all three" $no_tls $no_sockets $no_strings
empty "all three: calls memory functions alone" "$(strangers - "$memory $compiler")"

# ---- macros ----

# The macros that the whole header leaves behind, of its own and none of the headers that it includes.
gcc -std=c99 $posix -E -dD $here/implement.c 2>/dev/null |
    awk '/^# [0-9]+ "/ {own = $3 ~ /imapconnect\.h"$/}
         own && $1 == "#define" {sub(/\(.*/, "", $2); left[$2] = 1}
         $1 == "#undef" {delete left[$2]}
         END {for (name in left) print name}' >"$work/macros"
check "macros: found at all" grep -q '^IMAPCONNECT_VERSION$' "$work/macros"
empty "macros: all begin with IMAPCONNECT" "$(grep -Ev '^(IMAPCONNECT_|imapconnect_)' "$work/macros")"

# ---- form ----

if clang-format --version 2>/dev/null | grep -q 'version 14\.'; then
    check "clang-format" clang-format --dry-run -Werror imapconnect.h tests/*.[ch] tests/*/*.[ch] examples/*.c \
        examples/firmware/*.[ch] examples/firmware/arch/*.h
fi

sum_up
