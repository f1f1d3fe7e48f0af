#!/bin/sh
# make.sh SOURCES CA OUT [OPTION ...]: the image OUT, an ELF file, which trusts the certificate in the file CA (DER).
#
#   SOURCES has wolfssl/ and lwip/, which tests/sources.sh gets. The two are compiled once, and kept there for the same
#   settings.
#   OPTION is one of the compiler's, for the files of this folder: -DFIRMWARE_HEAP_SIZE=32768
#   FIRMWARE_CFLAGS is for everything: FIRMWARE_CFLAGS=-mcpu=cortex-m33
set -eu

here=$(cd "$(dirname "$0")" && pwd)
[ $# -ge 3 ] || {
    sed -n '2,/^set -eu/s/^# \{0,1\}//p' "$0" >&2
    exit 2
}
sources=$(cd "$1" && pwd) ca=$2 out=$3
shift 3
cross=arm-none-eabi-
cpu="-mcpu=cortex-m3 -mthumb ${FIRMWARE_CFLAGS:-}"
size='-Os -g -ffunction-sections -fdata-sections -fno-common'
include="-I$here -isystem $sources/wolfssl -isystem $sources/lwip/src/include -DWOLFSSL_USER_SETTINGS"
strict='-Wall -Wextra -pedantic -Wconversion -Wshadow -Wundef -Wcast-qual -Werror'

wolfssl='internal keys ssl tls tls13 wolfio'
wolfcrypt='aes asn chacha chacha20_poly1305 coding ecc hash hmac kdf md5 memory poly1305 random rsa sha256 sha512
    signature sp_cortexm sp_int wc_port wolfmath'
lwip='init def dns inet_chksum ip mem memp netif pbuf tcp tcp_in tcp_out timeouts udp ipv4/etharp ipv4/icmp ipv4/ip4
    ipv4/ip4_addr'

# The files that the two libraries are made of.
library_files() {
    # Each is several words.
    # shellcheck disable=SC2086
    {
        printf "$sources/wolfssl/src/%s.c\n" $wolfssl
        printf "$sources/wolfssl/wolfcrypt/src/%s.c\n" $wolfcrypt
        printf "$sources/lwip/src/core/%s.c\n" $lwip
        echo "$sources/lwip/src/netif/ethernet.c"
    }
}

# Whatever changes the libraries changes their name.
library_name() {
    {
        ${cross}gcc --version
        echo "$cpu $size $wolfssl $wolfcrypt $lwip"
        cat "$here/user_settings.h" "$here/lwipopts.h" "$here/arch/cc.h" "$here/board.h"
        ls -l "$sources/wolfssl/ChangeLog.md" "$sources/lwip/CHANGELOG"
    } | cksum | tr ' ' -
}

# Their warnings are not ours.
make_library() {
    objects=$(mktemp -d "$sources/objects.XXXXXX")
    trap 'rm -rf "$objects"' EXIT
    # $cpu and the others are several words.
    # shellcheck disable=SC2016,SC2086
    library_files | xargs -P 2 -I '{}' sh -c '
        file=$1
        shift
        exec "$@" -c "$file" -o "'"$objects"'/$(basename "$file" .c).o"' sh '{}' \
        ${cross}gcc -std=gnu99 -w $cpu $size $include
    ${cross}ar rc "$objects/library" "$objects"/*.o
    mv "$objects/library" "$1"
    rm -rf "$objects"
    trap - EXIT
}

library=$sources/library-$(library_name).a
[ -f "$library" ] || make_library "$library"

work=$(mktemp -d "$out.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
cp "$ca" "$work/ca.der"
# shellcheck disable=SC2086
{
    for file in main board heap imap lan9118 lwip_transport; do
        ${cross}gcc -std=c99 $strict $cpu $size $include -I"$here/../.." \
            '-DIMAPCONNECT_CONFIG_H="imapconnect_config.h"' -DFIRMWARE_BUILD_TIME="$(date +%s)" "$@" \
            -c "$here/$file.c" -o "$work/$file.o"
    done
    ${cross}gcc $cpu -DFIRMWARE_CA="\"$work/ca.der\"" -c "$here/ca.S" -o "$work/ca.o"
    ${cross}gcc $cpu --specs=nano.specs -nostartfiles -T "$here/mps2.ld" -Wl,--gc-sections -Wl,-Map="$out.map" \
        "$work"/*.o "$library" -o "$work/image"
}
mv "$work/image" "$out"
