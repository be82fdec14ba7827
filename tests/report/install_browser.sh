#!/usr/bin/env bash
# Installs what tests/report looks at the report with: Chromium by apt (as root on Debian only), and axe-core into
# .tox/report-browser of this checkout, npm's own cache beside it. Nothing else of the machine changes. What can't be installed
# is said, and its tests are skipped with their reason.
set -u
cd "$(dirname "$0")/../.."

axe="axe-core@4"
folder=.tox/report-browser

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
command -v chromium >/dev/null || command -v google-chrome >/dev/null || missing="$missing chromium"
command -v npm >/dev/null || missing="$missing nodejs npm"
fc-list 2>/dev/null | grep -q . || missing="$missing fonts-dejavu-core"
if [ -n "$missing" ]; then
    if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
        echo "== installing$missing"
        # shellcheck disable=SC2086 # a list of words
        quietly apt_install $missing || echo "== could not install$missing (tests that need them say so)"
    else
        echo "== not root on Debian:$missing are not installed here (tests that need them say so)"
    fi
fi

if [ ! -d "$folder/node_modules/axe-core" ] && command -v npm >/dev/null; then
    echo "== installing $axe into $folder"
    mkdir -p "$folder"
    quietly npm install --prefix "$folder" --cache "$folder/cache" --no-save --no-audit --no-fund --ignore-scripts \
        --no-update-notifier "$axe" || echo "== could not install $axe (tests that need it say so)"
fi
