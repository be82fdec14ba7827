"""OpenSMTPD, Debian's, unpacked and not installed. Its paths are compiled in: it sees others than we do."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import subprocess
from pathlib import Path

from harness.targets.boxed import Boxed
from harness.targets.daemon import PATIENCE, UNPACKED, Daemon, field, files_under
from harness.targets.place import LOOPBACK, TargetError

_UNPACKED = UNPACKED / "opensmtpd"
_USERS = ("opensmtpd", "opensmtpq")
_OWNER = "nobody"  # of the mailboxes

# Folders of ours, or empty ones, in the places where it looks.
_MOUNTS = """\
for folder in /var/spool /var/lib /usr/libexec /run; do mount -t tmpfs -o mode=755 tmpfs $folder; done
mkdir /var/spool/smtpd /usr/libexec/opensmtpd
mkdir -p -m 755 /var/lib/opensmtpd/empty
mount --bind {folder}/spool /var/spool/smtpd
mount --bind {programs}/usr/libexec/opensmtpd /usr/libexec/opensmtpd
mount --bind {folder}/resolv.conf /etc/resolv.conf
"""
# It looks up each client's name, in an empty root without /etc/hosts: a name server that is slow, or not there, would
# hold up the greeting for five seconds. At this one nobody listens, which is seen at once.
_NO_NAME_SERVER = f"lookup file\nnameserver {LOOPBACK}\n"


class OpenSmtpd(Daemon):
    """Every local part of the domain is a virtual user, delivered by mail.maildir into one Maildir."""

    kind = "opensmtpd"
    package = "opensmtpd"
    speaks_tls = (
        False  # Debian 12's of 6.8 was written for another OpenSSL: its processes can't share a key in this one
    )
    holds_grudges = True  # ten seconds, whatever its limits say; it starts in a twentieth of one

    @classmethod
    def missing(cls) -> str:
        """What it lacks on this machine."""
        if not (_UNPACKED / "usr" / "sbin" / "smtpd").exists():
            return "OpenSMTPD is not here (harness/targets/install_targets.sh unpacks it)"
        try:
            for user in _USERS:
                pwd.getpwnam(user), grp.getgrnam(user)
        except KeyError as error:
            return f"{error} (harness/targets/install_targets.sh makes it)"
        return ""

    @classmethod
    def version(cls) -> str:
        """Of the program, which says so with its usage."""
        done = subprocess.run([_UNPACKED / "usr/sbin/smtpd", "-h"], capture_output=True, text=True, check=False)
        return (done.stdout + done.stderr).partition("OpenSMTPD ")[2].split()[0]

    def configure(self) -> None:
        """smtpd.conf, the spool as smtpd wants it, and a folder for the mailboxes."""
        queue_user = pwd.getpwnam("opensmtpq")
        owner = pwd.getpwnam(_OWNER)
        spool = self.folder / "spool"
        shutil.rmtree(spool, ignore_errors=True)
        spool.mkdir(0o711)
        for name, mode, uid, gid in (
            ("incoming", 0o700, queue_user.pw_uid, 0),
            ("queue", 0o700, queue_user.pw_uid, 0),
            ("corrupt", 0o700, queue_user.pw_uid, 0),
            ("purge", 0o700, queue_user.pw_uid, 0),
            ("temporary", 0o700, queue_user.pw_uid, 0),
            ("offline", 0o770, 0, queue_user.pw_gid),
        ):
            path = spool / name
            path.mkdir()
            path.chmod(mode)
            os.chown(path, uid, gid)
        mail = self.folder / "mail"
        mail.mkdir(exist_ok=True)
        os.chown(mail, owner.pw_uid, owner.pw_gid)
        self._file.write_text("\n".join(self._lines(owner)) + "\n")
        (self.folder / "resolv.conf").write_text(_NO_NAME_SERVER)

    def _lines(self, owner: pwd.struct_passwd) -> list[str]:
        people = ", ".join(f'"{name}" = "{_OWNER}"' for name in self._people())
        own = ", ".join(f'"{name}"' for name in self.site.names)
        user = f'"{_OWNER}" = "{owner.pw_uid}:{owner.pw_gid}:{self.folder}/mail"'
        lines = [
            f"table people {{ {user} }}",
            f"table everybody {{ {people} }}",
            f'smtp max-message-size "{self.site.size}"',
            "queue ttl 1m",
            "bounce warn-interval 1d",
            # It waits between two connections to one host, which is for other people's servers.
            "mta limit "
            + " ".join(f"conn-delay-{what} 0" for what in ("host", "route", "source", "connector", "relay", "domain"))
            + " reconn-delay-route 0",
            f'listen on {LOOPBACK} port {self.port} hostname "{self.hostname}"',
            f'action "box" maildir "{self.maildir}" userbase <people> virtual <everybody>',
            f'match from any for domain {{ {own} }} action "box"',
        ]
        for number, (name, port) in enumerate(self.site.routes.items()):
            lines += [
                f'action "to_{number}" relay host "smtp://{LOOPBACK}:{port}" helo "{self.hostname}"',
                f'match from any for domain "{name}" action "to_{number}"',
            ]
        return lines

    def _people(self) -> tuple[str, ...]:
        """``@`` is everybody."""
        return (*self.site.users, "postmaster") if self.site.users else ("@",)

    @property
    def _file(self) -> Path:
        return self.folder / "smtpd.conf"

    def launch(self) -> Boxed:
        """In the foreground, as if its folders were where it was built to find them."""
        mounts = _MOUNTS.format(folder=self.folder, programs=_UNPACKED)
        return Boxed([str(_UNPACKED / "usr/sbin/smtpd"), "-d", "-f", str(self._file)], self.log, shell=mounts)

    def queued(self) -> list[Path]:
        """The files of envelopes and mails in its queue, those that are just being taken in among them."""
        return files_under(self.folder / "spool" / "incoming", self.folder / "spool" / "queue")

    def kick(self) -> None:
        """Its own first retry would come after minutes."""
        as_its_group = ("setpriv", "--regid=opensmtpq", "--clear-groups")  # installed, it would be setgid
        smtpctl = str(_UNPACKED / "usr/sbin/smtpctl")
        done = self.box.run(*as_its_group, smtpctl, "schedule", "all", patience=PATIENCE)
        if done.returncode:
            raise TargetError(f"smtpctl schedule all: {done.stdout}{done.stderr}")

    def recipient_of(self, raw: bytes) -> str:
        """smtpd writes it on top of the mail."""
        return field(raw, b"Delivered-To")
