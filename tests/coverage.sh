#!/bin/sh
# coverage.sh: which branches of imapconnect.h do the tests take?
#
#   coverage.sh            builds every tests/test_*.c with clang's coverage, runs it, and reports. The dialogues run at
#                          once and byte by byte alone, which takes all that they take: this is a part of the test run
#   coverage.sh full       the same, with the whole matrix of the dialogues
#   coverage.sh live       the same, and the scripts with real servers, whose programs are built so, too
#   coverage.sh NAME ...   only these programs, `coverage.sh test_lexer.c`; nothing is judged then
#
# A branch counts twice: its condition was once true, and once false. What any of the programs took is taken. First
# comes what was never taken, each with the line of the source, so that somebody can write the test; then a table, room
# by room. Every branch must be taken, or be named in coverage.txt with the reason why it cannot be; those count as not
# taken all the same.
#
# Debian: clang, llvm, libclang-rt-14-dev, libwolfssl-dev, libcmocka-dev; for `live` also openssl and dovecot-imapd. It
# takes 12 seconds on one core, `full` 25, `live` three minutes.
set -u

cd "$(dirname "$0")/.." || exit 1
LC_ALL=C
export LC_ALL
BUILD_DIR=${BUILD_DIR:-$PWD/build}
mkdir -p "$BUILD_DIR" && work=$(mktemp -d "$BUILD_DIR/coverage.XXXXXX") || exit 1
chmod 755 "$work"
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# shellcheck source=tests/check.sh
. tests/check.sh

for program in clang llvm-profdata llvm-cov; do
    command -v $program >/dev/null || {
        ok "coverage # skipped: $program is missing"
        sum_up
        exit
    }
done

# ---- running ----

measured='-w -fprofile-instr-generate -fcoverage-mapping'

# Compiles one program and runs it. Its counters are in $work/NAME.profdata. What a child writes is merged: %m.
run_program() {
    source=tests/$1 level=-O0
    case "$1 $mode" in
    'test_transcripts.c quick')
        source=$work/quick.c
        sed '/^    replay_\(chunks\|splits\|faults\)(&t, file);$/d' tests/test_transcripts.c >"$source"
        ;;
    test_transcripts.c*) level=-O1 ;;
    esac
    # shellcheck disable=SC2086
    clang -std=c99 -D_POSIX_C_SOURCE=200809L -iquote tests $level $measured "$source" -o "$work/$1.bin" -lcmocka \
        -lwolfssl >"$work/out" 2>&1 || return 1
    # Bound lazily, a call would leave registers on the stack, where test_torture.c looks for secrets.
    LD_BIND_NOW=1 BUILD_DIR=$work LLVM_PROFILE_FILE=$work/$1-%m.profraw timeout -k 5 600 "$work/$1.bin" >"$work/out" 2>&1
    result=$?
    collect "$1" || return 1
    return $result
}

collect() {
    llvm-profdata merge -sparse "$work/$1"-*.profraw -o "$work/$1.profdata" && branches "$1" >"$work/$1.branches"
}

# A compiler that builds what it is told to build with gcc, but measured and without sanitizers, and keeps a copy.
write_compiler() {
    mkdir -p "$work/bin" "$work/build"
    cat >"$work/bin/gcc" <<END
#!/bin/sh
output= linked=1 last= name=live-\$\$
for word; do
    case \$last in -o) output=\$word ;; esac
    case \$word in -c | -E | -S | -fsyntax-only) linked= ;; esac
    last=\$word
done
clang "\$@" $measured -fprofile-instr-generate=$work/\$name-%m.profraw -fno-sanitize=all || exit
[ -z "\$output" ] || [ -z "\$linked" ] || cp "\$output" "$work/\$name.bin"
END
    chmod 755 "$work/bin/gcc"
}

# The scripts as they are, with that compiler.
run_live() {
    write_compiler
    kept=0
    if BUILD_DIR=$work/build PATH=$work/bin:$PATH sh tests/run.sh tls.sh commands.sh cli.sh live.sh >"$work/out" 2>&1
    then
        ok "the scripts with real servers: $(tail -n 1 "$work/out")"
    else
        not_ok "the scripts with real servers" "$(tail -n 1 "$work/out")" "$work/out"
    fi
    for program in "$work"/live-*.bin; do
        # Most is not about the header, and one that is always killed has no counters.
        name=$(basename "$program" .bin)
        ls "$work/$name"-*.profraw >/dev/null 2>&1 || continue
        if collect "$name" && [ -s "$work/$name.branches" ]; then
            kept=$((kept + 1))
        fi
    done
    if [ $kept -ge 8 ]; then
        ok "their programs are measured: $kept"
    else
        not_ok "their programs are measured" "only $kept are"
    fi
}

# Prints "LINE COLUMN LINE COLUMN TRUE FALSE FUNCTION" for each branch of the header in a program. llvm-cov's own sum
# over several programs is no union: to clang 14 a static function is another one in each of them.
branches() {
    llvm-cov export -format=text "$work/$1.bin" -instr-profile="$work/$1.profdata" | tr '{' '\n' | awk '
        # A list of numbers or texts behind "NAME":[
        function list(name, end,   from, rest) {
            from = index($0, "\"" name "\":[")
            if (from == 0) return ""
            rest = substr($0, from + length(name) + 4)
            return substr(rest, 1, index(rest, end) - 1)
        }
        /"filenames":/ && /"name":"/ {
            files = split(list("filenames", "]"), file, ",")
            if (file[1] !~ /\/imapconnect\.h"$/) next
            name = $0
            sub(/.*"name":"([^":]*:)?/, "", name)
            sub(/".*/, "", name)
            count = split(list("branches", "]],"), branch, "],")
            for (i = 1; i <= count; i++) {
                gsub(/\[/, "", branch[i])
                split(branch[i], value, ",")
                # The seventh says in which file it is: a macro has another one.
                if (file[value[7] + 1] ~ /\/imapconnect\.h"$/)
                    print value[1], value[2], value[3], value[4], (value[5] > 0), (value[6] > 0), name
            }
        }'
}

# ---- reporting ----

# Of all the lines of `branches`: the union. "ROOM LINE COLUMN TRUE FALSE FUNCTION CONDITION", sorted by line.
unite() {
    awk '
        FILENAME == ARGV[1] {
            if ($0 ~ /^\/\* >>[a-z0-9]+ ---/) { room = $2; sub(/>>/, "", room) }
            rooms[FNR] = room
            source[FNR] = $0
            next
        }
        {
            key = $1 " " $2 " " $3 " " $4
            yes[key] += $5
            no[key] += $6
            name[key] = $7
        }
        END {
            for (key in yes) {
                split(key, at, " ")
                size = at[1] == at[3] ? at[4] - at[2] : 999
                print rooms[at[1]], at[1], at[2], (yes[key] > 0), (no[key] > 0), name[key],
                    substr(source[at[1]], at[2], size)
            }
        }' imapconnect.h "$work"/*.branches | sort -k 2n -k 3n
}

# What was never taken and is not in coverage.txt; what is goes to $work/known.
never_taken() {
    awk -F' [|] ' -v known="$work/known" '
        FILENAME == ARGV[1] { if (!/^#/ && NF == 4) reason[$1 "|" $2 "|" $3] = $0; next }
        FILENAME == ARGV[2] { source[FNR] = $0; next }
        function show(what,   key) {
            key = part[6] "|" condition "|" what
            if (key in reason) print reason[key] >known
            else printf "imapconnect.h:%d:%d: never %s: %s (%s)\n", part[2], part[3], what, condition, part[6]
            return !(key in reason)
        }
        {
            split($0, part, " ")
            condition = $0
            for (i = 1; i <= 6; i++) sub(/^[^ ]* /, "", condition)
            shown = part[4] == 0 ? show("true") : 0
            shown += part[5] == 0 ? show("false") : 0
            if (shown) print "    " source[part[2]]
        }' "$work/reasons" imapconnect.h "$work/union"
}

table() {
    awk '
        !($1 in all) { order[++rooms] = $1 }
        { all[$1] += 2; taken[$1] += $4 + $5; sum += 2; hit += $4 + $5 }
        function line(name, hit, all) { printf "%-12s %5d of %5d %6.1f %%\n", name, hit, all, 100 * hit / all }
        END {
            for (i = 1; i <= rooms; i++) line(order[i], taken[order[i]], all[order[i]])
            line("all", hit, sum)
            exit sum == 0
        }' "$work/union"
}

# coverage.txt: FUNCTION | CONDITION | true or false | why it is never so.
stale() {
    grep -v '^#' "$work/reasons" | grep . | while read -r line; do
        grep -qxF -- "$line" "$work/known" || echo "$line"
    done
}

report() {
    touch "$work/known" "$work/reasons"
    [ ! -f tests/coverage.txt ] || cp tests/coverage.txt "$work/reasons"
    unite >"$work/union"
    never_taken >"$work/never"
    cat "$work/never"
    echo
    table | tee "$work/table"
}

# What a branch is called there must be what it is called in the header, so a line that fits none is stale, too.
judge() {
    if [ -s "$work/union" ] && [ ! -s "$work/never" ]; then
        ok "every branch is taken, or named in coverage.txt: $(tail -n 1 "$work/table" | tr -s ' ')"
    else
        not_ok "every branch is taken, or named in coverage.txt" "see above" "$work/never"
    fi
    stale >"$work/stale"
    if [ -s "$work/stale" ]; then
        not_ok "coverage.txt: all are out of reach" "these are taken, or not there" "$work/stale"
    else
        ok "coverage.txt: all are out of reach"
    fi
}

mode=quick judged=1
case ${1:-} in
full | live) mode=$1 && shift ;;
?*) judged= ;;
esac
if [ $# -eq 0 ]; then
    for name in tests/test_*.c; do
        set -- "$@" "${name#tests/}"
    done
fi
for name; do
    if run_program "$name"; then
        ok "$name runs"
    else
        not_ok "$name runs" "it does not compile, or fails" "$work/out"
    fi
done
[ "$mode" != live ] || run_live
report
[ -z "$judged" ] || judge
sum_up
