#!/bin/sh
# figures.sh: are the sizes in README.md still those that size.sh measures, and within its budgets? They depend on the
# compilers, so this asks only where they were taken: gcc 12, on x86-64.
set -eu
cd "$(dirname "$0")/.."
# shellcheck source=tests/check.sh
. tests/check.sh
for compiler in gcc arm-none-eabi-gcc riscv64-unknown-elf-gcc; do
    case $($compiler -dumpversion)-$(uname -m) in
    12-x86_64 | 12.*-x86_64) ;;
    *)
        ok "figures # skipped: they were taken with gcc 12 on x86-64, and here is another $compiler"
        sum_up
        exit 0
        ;;
    esac
done
if measured=$(sh tests/size.sh brief 2>&1); then
    ok "the budgets of size.sh"
else
    not_ok "the budgets of size.sh" "$measured"
fi

# measured PROCESSOR WHAT COLUMN: a number of the table.
measured() {
    echo "$measured" | awk -v title="$(printf '%-8s %-11s' "$1" "$2")" -v column="$3" '
        index($0, title) == 1 { split(substr($0, length(title) + 1), number); print number[column] }'
}

# commas NUMBER: 12345 as 12,345.
commas() {
    echo "$1" | sed -e ':again' -e 's/\([0-9]\)\([0-9]\{3\}\)\($\|,\)/\1,\2\3/' -e 't again'
}

# figure TITLE BEHIND NUMBER...: README.md must have this row of a table, with BEHIND after each number.
figure() {
    row="| $1 |" behind=$2
    shift 2
    for number; do
        row="$row $(commas "$number")$behind |"
    done
    if grep -qxF "$row" README.md; then
        ok "$row"
    else
        not_ok "README.md" "it should say: $row"
    fi
}

# processor NAME TITLE: its row of the first table.
processor() {
    figure "$2" '' "$(measured "$1" connect 3)" "$(measured "$1" commands 3)" "$(measured "$1" everything 3)" "$(measured "$1" session 1)" \
        "$(measured "$1" everything 6)"
}

processor m0+ 'Cortex-M0+'
processor m3 'Cortex-M3'
processor m33 'Cortex-M33'
processor rv32imc 'RISC-V rv32imc'
processor x86-64 'x86-64'
figure 'the texts of the codes, Cortex-M3' ' bytes' "$(measured m3 '+ texts' 3)"
figure 'the sockets, x86-64' ' bytes' "$(measured x86-64 '+ sockets' 3)"
sum_up && [ "$passed" -eq 8 ]
