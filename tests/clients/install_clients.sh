#!/usr/bin/env bash
# Installs what test_real_clients.py delivers mail with, on Debian: programs by apt (as root only), and nodemailer into
# .tox/clients of this checkout, npm's own cache beside it. Nothing else of the machine changes. What can't be installed
# is said, and its tests are skipped with their reason.
set -u
cd "$(dirname "$0")/../.."

programs="swaks curl msmtp libio-socket-ssl-perl libauthen-sasl-perl ca-certificates"
nodemailer="nodemailer@7" # the last one that runs on the node of Debian 12 too
folder=.tox/clients

# What is said of a step that fails: its last lines.
quietly() {
    local log
    log=$(mktemp)
    "$@" >"$log" 2>&1 </dev/null || { tail -n 5 "$log"; rm -f "$log"; return 1; }
    rm -f "$log"
}

apt_install() {
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@"
}

missing=""
for program in $programs; do
    dpkg-query -W -f '${Status}' "$program" 2>/dev/null | grep -q 'ok installed' || missing="$missing $program"
done
command -v npm >/dev/null || missing="$missing nodejs npm"
if [ -n "$missing" ]; then
    if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
        echo "== installing$missing"
        # shellcheck disable=SC2086 # a list of words
        quietly apt_install $missing || echo "== could not install$missing (tests that need them say so)"
    else
        echo "== not root on Debian:$missing are not installed here (tests that need them say so)"
    fi
fi

if [ ! -d "$folder/node_modules/nodemailer" ] && command -v npm >/dev/null; then
    echo "== installing $nodemailer into $folder"
    mkdir -p "$folder"
    quietly npm install --prefix "$folder" --cache "$folder/cache" --no-save --no-audit --no-fund --ignore-scripts \
        --no-update-notifier "$nodemailer" || echo "== could not install $nodemailer (tests that need it say so)"
fi
