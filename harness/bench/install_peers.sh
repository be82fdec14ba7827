#!/usr/bin/env bash
# Installs the peers of the benchmarks into a folder: install_peers.sh [FOLDER], .benchmarks unless given.
#   FOLDER/venv      Python's, from PyPI, beside this checkout (editable)
#   FOLDER/node      Node's smtp-server and MailDev, from npm, where npm is
#   FOLDER/postfix   smtp-source and smtp-sink, unpacked from Debian's package and not installed, where apt-get is
# Then: FOLDER/venv/bin/python -m harness.bench --peers FOLDER
# The case `durable` runs beside a Postfix that is installed (apt-get install postfix), and needs root.
set -eu
project=$(cd "$(dirname "$0")/../.." && pwd)
folder=${1:-$project/.benchmarks}
mkdir -p "$folder/node" "$folder/postfix"
folder=$(cd "$folder" && pwd)

echo "== PyPI"
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --editable "$project[all]" \
    aiosmtplib aiosmtpd pybase64 pytest pytest-localserver smtpdfix uvloop

echo "== npm"
if command -v npm >/dev/null; then
    (cd "$folder/node" && npm install --silent --no-audit --no-fund --ignore-scripts smtp-server maildev)
else
    echo "npm is not here: smtp-server and MailDev will be missing"
fi

echo "== Debian"
if command -v smtp-source >/dev/null || [ -x /usr/sbin/smtp-source ]; then
    echo "smtp-source and smtp-sink are installed"
elif command -v apt-get >/dev/null; then
    (cd "$folder/postfix" && apt-get download --quiet postfix && dpkg -x postfix_*.deb . && rm postfix_*.deb)
else
    echo "apt-get is not here: smtp-source and smtp-sink will be missing, and a client in Python takes their place"
fi
