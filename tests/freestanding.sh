#!/bin/sh
# freestanding.sh: what the header needs where there is no operating system. With a transport of one's own it calls six
# functions of libc and wolfSSL, and nothing else; it compiles with -ffreestanding for devices, with and without TLS;
# and a whole session runs in a program that is linked with no library at all.
set -u

cd "$(dirname "$0")/.." || exit 1
BUILD_DIR=${BUILD_DIR:-$PWD/build}
work=$(mktemp -d "$BUILD_DIR/freestanding.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# shellcheck source=tests/check.sh
. tests/check.sh
# shellcheck source=tests/processors.sh
. tests/processors.sh

# ---- what may be called ----

libc='memchr|memcmp|memcpy|memmove|memset|strlen'
wolfssl='wolfSSL(v23)?_[A-Za-z_0-9]+|wc_[A-Za-z_0-9]+'
# What gcc itself puts in: divisions, of 64 bits, too, and a Cortex-M0+'s tables of jumps.
libgcc='__aeabi_u?(idiv(mod)?|ldivmod)|__u?(div|mod)di3|__gnu_thumb1_case_[us][hq]i'

# strangers ALLOWED: what the object calls, and is not of these.
strangers() {
    "${prefix}nm" -u "$work/object.o" | awk '{ print $NF }' | grep -Evx "$1"
}

writable() {
    "${prefix}size" -A "$work/object.o" | awk '$1 ~ /^\.s?(data|bss|init_array|ctors)($|\.[^r])/ && $2 > 0 { print $1, $2 }'
}

# ---- what may be included ----

# An <errno.h> that is an error: wolfSSL's own headers include others, but not this one.
mkdir "$work/trap"
echo '#error "<errno.h> is not freestanding"' >"$work/trap/errno.h"
# And all that there is of libc where there is no TLS: what -ffreestanding promises, and six prototypes.
mkdir "$work/libc"
cat >"$work/libc/string.h" <<'STRING'
#include <stddef.h>
void *memchr(const void *, int, size_t);
int memcmp(const void *, const void *, size_t);
void *memcpy(void *, const void *, size_t);
void *memmove(void *, const void *, size_t);
void *memset(void *, int, size_t);
size_t strlen(const char *);
STRING

# object OPTION...: $work/object.o, the implementation for the processor that is set.
object() {
    # shellcheck disable=SC2086
    "${prefix}gcc" $machine $warnings -std=c99 -Os -ffreestanding -DIMAPCONNECT_NO_SOCKETS -I. "$@" \
        -c tests/hygiene/implement.c -o "$work/object.o"
}

with_tls() {
    # shellcheck disable=SC2086
    object $flags -I"$work/trap" "$@"
}

without_tls() {
    object -nostdinc -isystem "$("${prefix}gcc" -print-file-name=include)" -isystem "$work/libc" \
        -DIMAPCONNECT_NO_TLS "$@"
}

# alone: freestanding.c, linked with nothing but what gcc itself calls.
alone() {
    # Without the first option gcc makes a call to memset of the loop in memset.
    # shellcheck disable=SC2086
    "${prefix}gcc" $machine $warnings -std=c99 -Os -fno-tree-loop-distribute-patterns -fno-stack-protector \
        -ffreestanding -nostdinc -isystem "$("${prefix}gcc" -print-file-name=include)" -isystem "$work/libc" \
        -nostdlib -static tests/freestanding.c -lgcc -o "$work/alone"
}

# looks NAME ALLOWED COMMAND...: compiles the object, and looks at it.
looks() {
    name=$1 allowed=$2
    shift 2
    rm -f "$work/object.o"
    check "$name" "$@"
    [ -f "$work/object.o" ] || return 0
    empty "$name: calls nothing else" "$(strangers "$allowed")"
    empty "$name: nothing writable" "$(writable)"
}

for processor in m0+ m3 rv32imc; do
    processor $processor
    looks "$processor, TLS" "$libc|$libgcc|$wolfssl" with_tls
    looks "$processor, no TLS" "$libc|$libgcc" without_tls
    check "$processor: links without a library" alone
done
processor x86-64
looks 'x86-64, no TLS' "$libc|_GLOBAL_OFFSET_TABLE_" without_tls -fno-stack-protector
check 'x86-64: links without a library' alone
check 'x86-64: a session without a library' timeout -k 5 10 "$work/alone"

# Could all this fail?
echo 'int main(void) { return *__errno_location(); }' | sed '1i int *__errno_location(void);' >"$work/errno.c"
gcc -c "$work/errno.c" -o "$work/object.o"
if [ -n "$(strangers "$libc")" ]; then
    ok "a call to errno is seen"
else
    not_ok "a call to errno is seen" "it was not"
fi
sum_up
