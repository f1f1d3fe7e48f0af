#!/bin/sh
# sources.sh PACKAGE DIR: prints the folder DIR/PACKAGE, which holds the sources of Debian's source package, with
# Debian's patches: wolfssl, lwip. What is there already stays; two runs at a time fetch it once.
#
# The system's packages and its configuration are not touched: apt-get has lists and a cache of its own in DIR, and asks
# the system's own servers for sources, which need not be configured for that. Needs dpkg-dev; no root.
set -eu

[ $# -eq 2 ] || {
    sed -n '2,/^set -eu/s/^# \{0,1\}//p' "$0" >&2
    exit 2
}
package=$1
mkdir -p "$2"
dir=$(cd "$2" && pwd)

# The system's servers, in both formats of apt: the same entries, for sources. $1 is where to.
source_lists() {
    for list in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
        [ ! -f "$list" ] || sed -n 's/^[[:space:]]*deb\(-src\)\{0,1\}[[:space:]]/deb-src /p' "$list"
    done | sort -u >"$1/system.list"
    for list in /etc/apt/sources.list.d/*.sources; do
        [ ! -f "$list" ] || sed 's/^Types:.*/Types: deb-src/' "$list" >"$1/${list##*/}"
    done
}

apt() {
    apt-get -qq -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts="$work/servers" \
        -o Dir::State::lists="$work/lists" -o Dir::Cache="$work/cache" -o APT::Sandbox::User=root "$@"
}

fetch() {
    mkdir -p "$work/servers" "$work/lists/partial" "$work/cache/archives/partial"
    source_lists "$work/servers"
    # A server that does not answer matters only when it is the one.
    apt update || true
    (cd "$work" && apt source "$package")
}

# While another run fetches, this one waits.
exec 9>"$dir/.lock"
flock -w 900 9
if [ ! -d "$dir/$package" ]; then
    work=$(mktemp -d "$dir/.fetch.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    trap 'exit 1' HUP INT TERM
    if ! fetch >"$work/log" 2>&1; then
        cat "$work/log" >&2
        echo "sources.sh: no sources of $package" >&2
        exit 1
    fi
    mv "$work/$package"-*/ "$dir/$package"
fi
echo "$dir/$package"
