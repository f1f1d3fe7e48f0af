#!/bin/sh
# readme.sh: is what README.md, certs/README.md and the header's manual show true?
#
# The rules, for whoever writes the first two:
#
#   ```c    A block, indented or not, with main() in it is a program. It is stored beside a copy of imapconnect.h as
#           program.c, or as NAME.c where the line `<!-- readme: NAME.c -->` stands before the block, and is compiled
#           with all warnings and linked. Any other block is a snippet, and only compiled: as a file of its own when
#           one of its lines begins with #, otherwise as the body of a function. There the names imap, config,
#           responses, text, socket, result, line, user and on_log are known; a snippet may declare its own.
#   ```sh   Each line is run in a folder with a copy of the checkout, from block to block the same one:
#             ./build.sh ...       the command must be one that `./build.sh help` lists; it is not run
#             git ...              not run
#             apt-get, sudo        not run; each package must be one that build.sh installs
#             gcc, cc, clang, g++  run; the file behind -o must be there afterwards
#             all others           run; must end with status 0
#   ```     Blocks of any other kind are not looked at: captured output, for example.
#
# To be run, they use these names and no others; they are exchanged for a Dovecot started here: the server is
# imap.example.org (TLS; with :143 the port for STARTTLS), the user joe, his password secret, also in the environment
# as IMAPCONNECT_USER and IMAPCONNECT_PASSWORD, and the folder of CA certificates certs/cacerts.
#
# In imapconnect.h: behind the last line with `>>program` the first lines that are indented by seven columns or more,
# empty ones among them, are a program. It is compiled, linked, and run like the others.

# The functions are called through check, which shellcheck does not see.
# shellcheck disable=SC2317
set -u

cd "$(dirname "$0")/.." || exit 1
root=$PWD
BUILD_DIR=${BUILD_DIR:-$root/build}
work=$(mktemp -d "$BUILD_DIR/readme.XXXXXX") || exit 1
chmod 755 "$work"
trap 'sh "$root/tests/dovecot.sh" stop "$work/dovecot"; rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# shellcheck source=tests/check.sh
. tests/check.sh
standard='-std=c99 -D_POSIX_C_SOURCE=200809L'

# check NAME COMMAND...
check() {
    what=$1
    shift
    : >"$work/out"
    if "$@" >"$work/out" 2>&1; then
        ok "$what"
    else
        not_ok "$what" "status $?" "$work/out"
    fi
}

# ---- the server, and the names that README.md gives it ----

sh tests/dovecot.sh start "$work/dovecot" || {
    not_ok "Dovecot starts" "it does not"
    sum_up
    exit 1
}
# shellcheck disable=SC1091
. "$work/dovecot/env"
IMAPCONNECT_USER=$USER IMAPCONNECT_PASSWORD=$PASSWORD
export IMAPCONNECT_USER IMAPCONNECT_PASSWORD

# The checkout as the reader has it, built, and with a CA of his own.
copy=$work/copy
mkdir "$copy" "$copy/build"
cp -R imapconnect.h examples certs build.sh README.md "$copy/" 2>/dev/null
mkdir -p "$copy/certs/cacerts"
cp "$CAFILE" "$copy/certs/cacerts/"
for source in examples/*.c; do
    program=$(basename "$source" .c)
    [ ! -x "$BUILD_DIR/$program" ] || cp "$BUILD_DIR/$program" "$copy/build/"
done

exchange() {
    sed -e "s/imap\.example\.org:143/$HOST:$IMAP_PORT/g" -e "s/imap\.example\.org:993/$HOST:$IMAPS_PORT/g" \
        -e "s/imap\.example\.org/$HOST:$IMAPS_PORT/g" "$@"
}

# ---- programs and snippets ----

# program NAME FILE: compiles and links a program that stands beside the header.
program() {
    # shellcheck disable=SC2086
    (cd "$copy" && gcc $standard -O2 $warnings "$2" -o "$work/program" -lwolfssl)
}

snippet() {
    if grep -q '^#' "$1"; then
        cat "$1"
    else
        cat <<'END'
#include <stdio.h>
#include <string.h>
#include "imapconnect.h"
extern imapconnect_session imap;
extern imapconnect_config config;
extern imapconnect_list responses;
extern char text[4096];
extern int socket, result;
extern const char *line;
extern void *user;
int on_log(void *user, int direction, const char *bytes, size_t count);
int snippet(void);
int snippet(void) {
END
        echo '#line 1 "README.md"'
        cat "$1"
        echo 'return 0; }'
    fi >"$copy/snippet.c"
    # The names above may stay unused, and so may what the snippet declares.
    # shellcheck disable=SC2086
    (cd "$copy" && gcc $standard $warnings -Wno-shadow -Wno-unused -c snippet.c -o "$work/snippet.o")
}

# take_apart FILE: $work/block.N.c and block.N.sh, and block.N.name where a marker names the file.
take_apart() {
    awk -v to="$work/block." '
        !inside && match($0, /^ *```/) {
            indent = RLENGTH - 3
            inside = 1
            kind = substr($0, RLENGTH + 1)
            if (kind == "c" || kind == "sh") {
                number = sprintf("%03d", ++blocks)
                file = to number "." kind
                printf "" > file
                if (name != "") print name > (to number ".name")
            } else kind = ""
            name = ""
            next
        }
        /^ *```/ {inside = 0; if (kind != "") close(file); next}
        inside {if (kind != "") print substr($0, indent + 1) > file; next}
        /^ *<!-- readme: [A-Za-z0-9_.-]+ -->$/ {name = $3; next}
        NF {name = ""}
    ' "$1"
}

# ---- lines for the shell ----

help=$(sh build.sh help)

# Runs one line in the folder that the line before left.
run_line() {
    (
        cd "$(cat "$work/folder")" || exit 1
        # shellcheck disable=SC1091
        [ ! -f "$work/environment" ] || . "$work/environment"
        eval "$1" </dev/null || exit
        pwd >"$work/folder"
        export -p >"$work/environment"
    )
}

compiles() {
    output=$(echo "$1" | sed -n 's/.* -o *\([^ ]*\).*/\1/p')
    run_line "$1" && run_line "test -x ${output:-a.out}"
}

packages_known() {
    for package in $1; do
        case $package in
        sudo | apt-get | apt | install | update | '&&' | -*) ;;
        *) grep -qw -e "$package" build.sh || {
            echo "build.sh does not install $package"
            return 1
        } ;;
        esac
    done
}

build_command() {
    rest=${1#./build.sh}
    echo "$help" | grep -q "^ *\./build\.sh$rest\( \|\$\)"
}

shell_line() {
    case $1 in
    ./build.sh*) check "sh: $1" build_command "$(echo "$1" | sed 's| *#.*||')" ;;
    git\ *) ok "sh, not run: $1" ;;
    apt*\ * | sudo\ *) check "sh: $1" packages_known "$1" ;;
    gcc\ * | cc\ * | clang\ * | g++\ *) check "sh: $1" compiles "$1" ;;
    *) check "sh: $1" run_line "$(echo "$1" | exchange)" ;;
    esac
}

# Lines that end in a backslash are joined; comments and empty lines are not for the shell.
shell_block() {
    sed -e ':more' -e '/\\$/{N;s/\\\n */ /;bmore' -e '}' -e '/^ *#/d' -e '/^ *$/d' "$1" >"$work/lines"
    while IFS= read -r shell_line <&3; do
        shell_line "$shell_line"
    done 3<"$work/lines"
}

# readme FILE
readme() {
    rm -f "$work"/block.*
    take_apart "$1"
    echo "$copy" >"$work/folder"
    # First all programs, then the lines that compile and run them.
    for block in "$work"/block.*.c; do
        [ -f "$block" ] || continue
        number=${block#"$work/block."} number=${number%.c}
        if grep -q '\<main(' "$block"; then
            file=program.c
            [ ! -f "$work/block.$number.name" ] || file=$(cat "$work/block.$number.name")
            exchange "$block" >"$copy/$file"
            check "$1, block $number: $file" program "$number" "$file"
        else
            check "$1, block $number: snippet" snippet "$block"
        fi
    done
    for block in "$work"/block.*.sh; do
        [ ! -f "$block" ] || shell_block "$block"
    done
}

# ---- the program in the header ----

header_program() {
    awk '/>>program/ {text = ""; on = 1; next}
         on && /^       / {text = text $0 "\n"; next}
         on && NF == 0 {text = text "\n"; next}
         text ~ /[^ \n]/ {on = 0}
         END {printf "%s", text}' imapconnect.h | exchange >"$copy/manual.c"
    lines=$(grep -c '[^ ]' "$copy/manual.c")
    if grep -q '\<main(' "$copy/manual.c" && [ "$lines" -le 30 ]; then
        ok "the manual has a program of at most 30 lines"
    else
        not_ok "the manual has a program of at most 30 lines" "$lines lines"
    fi
    check "the manual's program compiles" program manual manual.c
    check "the manual's program runs" run_in_copy "$work/program"
}

run_in_copy() {
    (cd "$copy" && "$@" </dev/null)
}

header_program
for file in README.md certs/README.md; do
    if [ -f $file ]; then
        readme $file
    else
        not_ok $file "there is none"
    fi
done
sum_up
