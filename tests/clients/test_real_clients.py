"""Clients that people use deliver an attachment octet for octet: in the clear, with STARTTLS, with AUTH, and with both.

``install_clients.sh`` installs them on Debian; where one is missing its tests are skipped, and say so. The programs
that use a library are in ``senders/``.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Literal

import pytest

from smtp_pair import Domain, Server
from smtp_pair.pytest_plugin import MailNetwork
from smtp_pair.tls import write_authority

SENDERS = Path(__file__).parent / "senders"
CHECKOUT = Path(__file__).parents[2]
NODE_MODULES = CHECKOUT / ".tox" / "clients" / "node_modules"
PATIENCE = 60
"""Seconds that a client may take; a failure, not a measurement."""

CONTENT = bytes(range(256)) * 200 + b"\r\n.\r\n..\nFrom me\r" + b"\n.\n" * 100
SENDER, RECIPIENT = "luke@jaku.com", "obiwan@jaku.com"
USER, PASSWORD = "luke", "father?"


@dataclass(frozen=True, slots=True)
class Case:
    """One mail that is to be delivered."""

    server: Server
    file: Path
    """What is attached."""
    mail: Path
    """A mail with the attachment in it, for clients that make none."""
    authority: Path
    starttls: bool
    auth: bool

    @property
    def environment(self) -> dict[str, str]:
        """What the programs in ``senders/`` read."""
        return {
            "SMTP_HOST": self.server.host,
            "SMTP_PORT": str(self.server.port),
            "SMTP_STARTTLS": "1" if self.starttls else "",
            "SMTP_USER": USER if self.auth else "",
            "SMTP_PASSWORD": PASSWORD if self.auth else "",
            "MAIL_FROM": SENDER,
            "MAIL_TO": RECIPIENT,
            "MAIL_FILE": str(self.file),
            "SSL_CERT_FILE": str(self.authority),
            "NODE_EXTRA_CA_CERTS": str(self.authority),
            "NODE_PATH": str(NODE_MODULES),
        }


Command = Callable[[Case], Sequence[str]]


def _swaks(case: Case) -> Sequence[str]:
    tls = ["--tls", "--tls-verify", "--tls-ca-path", str(case.authority)] if case.starttls else []
    auth = ["--auth", "PLAIN", "--auth-user", USER, "--auth-password", PASSWORD] if case.auth else []
    host, port = case.server.host, str(case.server.port)
    mail = [
        "--from",
        SENDER,
        "--to",
        RECIPIENT,
        "--h-Subject",
        "From swaks",
        "--attach-type",
        "application/octet-stream",
    ]
    attachment = ["--attach-name", "plans.bin", "--attach", f"@{case.file}"]
    return ["swaks", "--server", host, "--port", port, "--helo", "client.example", *tls, *auth, *mail, *attachment]


def _curl(case: Case) -> Sequence[str]:
    tls = ["--ssl-reqd", "--cacert", str(case.authority)] if case.starttls else []
    auth = ["--user", f"{USER}:{PASSWORD}"] if case.auth else []
    envelope = ["--mail-from", SENDER, "--mail-rcpt", RECIPIENT]
    form = [
        "-H",
        "Subject: From curl",
        "-F",
        "=See the attachment.",
        "-F",
        f"file=@{case.file};filename=plans.bin;encoder=base64",
    ]
    url = f"smtp://{case.server.address}/client.example"
    return ["curl", "--silent", "--show-error", "--disable", *tls, *auth, *envelope, *form, url]


def _curl_upload(case: Case) -> Sequence[str]:
    tls = ["--ssl-reqd", "--cacert", str(case.authority)] if case.starttls else []
    auth = ["--user", f"{USER}:{PASSWORD}", "--login-options", "AUTH=LOGIN"] if case.auth else []
    envelope = ["--mail-from", SENDER, "--mail-rcpt", RECIPIENT, "--upload-file", str(case.mail)]
    url = f"smtp://{case.server.address}/client.example"
    return ["curl", "--silent", "--show-error", "--disable", *tls, *auth, *envelope, url]


def _msmtp(case: Case) -> Sequence[str]:
    tls = ["--tls=on", "--tls-starttls=on", f"--tls-trust-file={case.authority}"] if case.starttls else ["--tls=off"]
    auth = ["--auth=plain", f"--user={USER}", f"--passwordeval=echo '{PASSWORD}'"] if case.auth else ["--auth=off"]
    server = [f"--host={case.server.host}", f"--port={case.server.port}", "--domain=client.example"]
    return ["msmtp", *server, *tls, *auth, f"--from={SENDER}", "--", RECIPIENT]


def _python(name: str) -> Command:
    return lambda case: [sys.executable, "-W", "error", "-X", "dev", str(SENDERS / name)]


@dataclass(frozen=True, slots=True)
class Client:
    """A client, and what it needs."""

    id: str
    command: Command
    program: str = ""
    """What has to be on the PATH."""
    module: str = ""
    """What has to be importable here."""
    perl: Sequence[str] = ()
    """What has to be there for STARTTLS and for AUTH."""

    def missing(self, *, starttls: bool, auth: bool) -> str:
        """What it would take to run it here; "" where it can."""
        if self.program and shutil.which(self.program) is None:
            return self.program
        if self.module and importlib.util.find_spec(self.module) is None:
            return self.module
        if self.program == "node" and not (NODE_MODULES / "nodemailer").is_dir():
            return "nodemailer"
        wanted = [module for module, needed in zip(self.perl, (starttls, auth), strict=False) if needed]
        return next((module for module in wanted if not _has_perl(module)), "")


def _has_perl(module: str) -> bool:
    return subprocess.run(["perl", f"-M{module}", "-e", "1"], capture_output=True, timeout=PATIENCE).returncode == 0


CLIENTS = (
    Client("swaks", _swaks, program="swaks", perl=["Net::SSLeay"]),
    Client("curl", _curl, program="curl"),
    Client("curl-upload", _curl_upload, program="curl"),
    Client("msmtp", _msmtp, program="msmtp"),
    Client("smtplib", _python("by_smtplib.py")),
    Client("aiosmtplib", _python("by_aiosmtplib.py"), module="aiosmtplib"),
    Client("django", _python("by_django.py"), module="django"),
    Client("flask-mail", _python("by_flask_mail.py"), module="flask_mail"),
    Client("nodemailer", lambda case: ["node", str(SENDERS / "by_nodemailer.js")], program="node"),
    Client(
        "net-smtp",
        lambda case: ["perl", str(SENDERS / "by_net_smtp.pl")],
        program="perl",
        perl=["IO::Socket::SSL", "Authen::SASL"],
    ),
)
MODES = {"plain": (False, False), "starttls": (True, False), "auth": (False, True), "starttls-auth": (True, True)}


@pytest.fixture(params=MODES)
def case(request: pytest.FixtureRequest, mail_network: MailNetwork, tmp_path: Path) -> Case:
    """A server that demands what the client is to do, and no less."""
    starttls, auth = MODES[request.param]
    tls: Literal["required", "off"] = "required" if starttls else "off"
    domain = Domain("jaku.com", tls=tls, auth={USER: PASSWORD} if auth else None, auth_required=auth)
    file, mail, authority = (tmp_path / name for name in ("plans.bin", "mail.eml", "authority.pem"))
    file.write_bytes(CONTENT)
    mail.write_bytes(_made())
    write_authority(authority)
    return Case(mail_network(domain)["jaku.com"], file, mail, authority, starttls, auth)


def _made() -> bytes:
    message = EmailMessage(SMTP)
    message["From"], message["To"], message["Subject"] = SENDER, RECIPIENT, "Made before"
    message.set_content("See the attachment.\n.\n")
    message.add_attachment(CONTENT, maintype="application", subtype="octet-stream", filename="plans.bin")
    return message.as_bytes()


@pytest.mark.parametrize("client", [pytest.param(each, id=each.id) for each in CLIENTS])
def test_attachment(client: Client, case: Case) -> None:
    """The attachment arrives with its name, octet for octet, in one mail; what the client was to do, it has done."""
    if missing := client.missing(starttls=case.starttls, auth=case.auth):
        pytest.skip(f"{missing} is not installed: tests/clients/install_clients.sh does that on Debian")
    with case.mail.open("rb") as mail:
        done = subprocess.run(
            client.command(case),
            env={**os.environ, **case.environment},
            cwd=case.file.parent,
            stdin=mail if client.id == "msmtp" else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=PATIENCE,
            text=True,
            errors="replace",
        )
    assert done.returncode == 0, done.stdout
    [mail_there] = case.server.messages
    assert mail_there.envelope.sender == SENDER
    assert list(mail_there.envelope.recipients) == [RECIPIENT]
    assert [(each.filename, each.content) for each in mail_there.attachments] == [("plans.bin", CONTENT)]
    protocol = "ESMTP" + ("S" if case.starttls else "") + ("A" if case.auth else "")
    assert f" with {protocol} " in mail_there.raw[:1000].decode()
