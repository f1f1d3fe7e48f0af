# shellcheck shell=sh
# processors.sh: read with `.` by the scripts that compile for the processors of devices. $work is a folder of theirs.

# shellcheck disable=SC2034
processors='m0+ m3 m33 rv32imc x86-64'

# The settings of wolfSSL for all but x86-64: a folder with a user_settings.h.
: "${SETTINGS:=tests/size}"

# Of the system's headers wolfSSL's alone, and none of its libc's.
# shellcheck disable=SC2154
mkdir "$work/include"
ln -s /usr/include/wolfssl "$work/include/wolfssl"

# processor NAME: sets `prefix` of its tools, `machine`, and `flags` for what is compiled.
processor() {
    prefix=arm-none-eabi- flags="-DWOLFSSL_USER_SETTINGS -I$SETTINGS -isystem $work/include"
    case $1 in
    m0+) machine='-mcpu=cortex-m0plus -mthumb' ;;
    m3) machine='-mcpu=cortex-m3 -mthumb' ;;
    m33) machine='-mcpu=cortex-m33 -mthumb' ;;
    rv32imc)
        prefix=riscv64-unknown-elf- machine='-march=rv32imc -mabi=ilp32'
        flags="--specs=picolibc.specs $flags"
        ;;
    x86-64) prefix='' machine='' flags='-fno-asynchronous-unwind-tables' ;;
    *)
        echo "no such processor: $1" >&2
        exit 2
        ;;
    esac
    flags="$machine -std=c99 -I. $flags"
}
