#!/usr/bin/env bash
# Brings the mail servers that `--mail-target` knows, on Debian, as root: install_targets.sh [postfix] [exim] [opensmtpd],
# all three unless some are named.
#   postfix     by apt, never started as a service
#   exim        unpacked into .tox/targets/exim of this checkout, for its package and Postfix's exclude each other
#   opensmtpd   unpacked into .tox/targets/opensmtpd
#   the libraries that those two need, by apt
#   the system users that are compiled into them: Debian-exim; opensmtpd and opensmtpq
# What can't be installed is said, and its tests are skipped with their reason.
set -u
cd "$(dirname "$0")/../.."
folder=$PWD/.tox/targets
export DEBIAN_FRONTEND=noninteractive

if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
    echo "== not root on Debian: no mail servers are installed here (tests that need them say so)"
    exit 0
fi

# What is said of a step that fails: its last lines.
quietly() {
    local log
    log=$(mktemp)
    "$@" >"$log" 2>&1 </dev/null || { tail -n 5 "$log"; rm -f "$log"; return 1; }
    rm -f "$log"
}

listed=""
# The lists of packages, once, where something is to be fetched.
lists() {
    [ -n "$listed" ] || quietly apt-get update -qq
    listed=yes
}

# A package's postinst may want to start a service: nothing may (policy-rc.d is how Debian says so).
install() {
    local policy=/usr/sbin/policy-rc.d made=""
    [ -e "$policy" ] || { printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy" && made=yes; }
    quietly apt-get install -qq -y --no-install-recommends "$@"
    local done=$?
    [ -z "$made" ] || rm -f "$policy"
    return $done
}

# unpack NAME PACKAGE PROGRAM: the package's files into the folder, its libraries by apt.
unpack() {
    local name=$1 package=$2 program=$3
    [ -x "$folder/$name/$program" ] && return 0
    lists
    local libraries
    libraries=$(apt-cache depends --important "$package" 2>/dev/null | sed -n 's/^ *Depends: \(lib[^<>]*\)$/\1/p')
    # shellcheck disable=SC2086 # a list of words
    install $libraries || return 1
    local fetched
    fetched=$(mktemp -d) && chmod 755 "$fetched"
    (cd "$fetched" && quietly apt-get download -qq -o APT::Sandbox::User=root "$package") || { rm -rf "$fetched"; return 1; }
    rm -rf "${folder:?}/$name" && mkdir -p "$folder/$name" && dpkg -x "$fetched"/*.deb "$folder/$name"
    local done=$?
    rm -rf "$fetched"
    return $done
}

# user NAME: a system user that owns nothing and can't log in.
user() {
    id "$1" >/dev/null 2>&1 || quietly useradd --system --user-group --no-create-home --home-dir /nonexistent \
        --shell /usr/sbin/nologin "$1"
}

for target in "${@:-postfix exim opensmtpd}"; do
    for name in $target; do
        echo "== $name"
        case $name in
        postfix) [ -x /usr/lib/postfix/sbin/master ] || { lists; install postfix; } ;;
        exim) unpack exim exim4-daemon-light usr/sbin/exim4 && user Debian-exim ;;
        opensmtpd) unpack opensmtpd opensmtpd usr/sbin/smtpd && user opensmtpd && user opensmtpq ;;
        *) echo "no such server: $name" >&2; exit 2 ;;
        esac || echo "== could not install $name (tests that need it say so)"
    done
done
