"""``smtp-pair up`` with a domain that has TLS: clients are told what to trust."""

from __future__ import annotations

import os
import re
import signal
import smtplib
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import smtp_pair

ROOT = Path(smtp_pair.__path__[0]).parent
CONFIG = """
[[domain]]
name = "jaku.com"
tls = "required"
auth = { luke = "the f0rce" }

[[domain]]
name = "deathstar.com"
tls = "implicit"
"""


@pytest.fixture
def up(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Both servers in a process of their own, which ends in any case."""
    (tmp_path / "mail.toml").write_text(CONFIG)
    words = ["up", "--config", "mail.toml", "--data", "data"]
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "smtp_pair", *words],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"},
    ) as process:
        patience = threading.Timer(30, process.kill)
        patience.start()
        try:
            yield process
        finally:
            patience.cancel()
            process.kill()


@pytest.mark.skipif(os.name != "posix", reason="SIGTERM ends the process at once on Windows")
def test_the_authority_is_in_the_folder(up: subprocess.Popen[str], tmp_path: Path) -> None:
    """Its certificate lies there as ca.pem, and the console says so; a client that trusts it delivers to both servers,
    one of which hands on to the other; at the end it is removed, for the next run has another one."""
    assert up.stdout is not None
    console = ""
    for line in up.stdout:
        console += line
        if "Ctrl-C stops" in line:
            break
    assert "data/ca.pem is the authority of the certificates" in console
    ports = [int(port) for port in re.findall(r", at \w+:(\d+), ", console)]
    context = ssl.create_default_context(cafile=tmp_path / "data" / "ca.pem")
    with smtplib.SMTP("localhost", ports[0], local_hostname="client.example") as client:
        client.starttls(context=context)
        client.login("luke", "the f0rce")
        client.sendmail("luke@jaku.com", ["obiwan@jaku.com", "vader@deathstar.com"], "Subject: From outside\r\n\r\n")
    with smtplib.SMTP_SSL("localhost", ports[1], local_hostname="client.example", context=context) as client:
        client.sendmail("luke@jaku.com", ["tarkin@deathstar.com"], "Subject: Directly\r\n\r\n")
    for line in up.stdout:
        console += line
        if "forwarded" in line:
            break
    up.send_signal(signal.SIGTERM)
    console += up.stdout.read()
    assert up.wait() == 0, console
    assert not (tmp_path / "data" / "ca.pem").exists()
    maildir = tmp_path / "data" / "smtp.deathstar.com" / "maildir"
    assert sorted(path.parent.parent.name for path in maildir.glob("*/new/*")) == ["tarkin", "vader"]
