#!/bin/sh
# sources.sh DIR: puts the sources of wolfSSL and lwIP, as Debian has them, into DIR/wolfssl and DIR/lwip; what is there
# already stays. The system's list of packages and its configuration are not touched: apt-get is given a list of its own,
# which asks the system's own servers for sources.
set -eu

[ $# -eq 1 ] || {
    echo "usage: sources.sh DIR" >&2
    exit 2
}
mkdir -p "$1"
cd "$1"

# The system's servers, in both formats of apt: the same lines, for sources. $1 is where to.
source_lists() {
    for list in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
        [ ! -f "$list" ] || sed -n 's/^[[:space:]]*deb\(-src\)\{0,1\}[[:space:]]/deb-src /p' "$list"
    done | sort -u >"$1/system.list"
    for list in /etc/apt/sources.list.d/*.sources; do
        [ ! -f "$list" ] || sed 's/^Types:.*/Types: deb-src/' "$list" >"$1/${list##*/}"
    done
}

# With lists and a cache of its own.
apt() {
    apt-get -qq -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts="$work/servers" \
        -o Dir::State::lists="$work/lists" -o Dir::Cache="$work/cache" -o APT::Sandbox::User=root "$@"
}

fetch() {
    mkdir -p "$work/servers" "$work/lists/partial" "$work/cache/archives/partial"
    source_lists "$work/servers"
    # One server that does not answer matters only when it is the one that has them.
    apt update || true
    (cd "$work" && apt source "$@")
}

[ ! -d wolfssl ] || [ ! -d lwip ] || exit 0
work=$(mktemp -d "$PWD/get.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
fetch wolfssl lwip >"$work/log" 2>&1 || {
    cat "$work/log" >&2
    echo "sources.sh: no sources of wolfSSL and lwIP" >&2
    exit 1
}
# Of two runs at a time the first one wins.
for package in wolfssl lwip; do
    [ -d $package ] || mv "$work/$package"-[0-9]* $package
done
