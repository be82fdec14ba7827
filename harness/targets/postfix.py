"""Postfix, Debian's: its own main.cf and master.cf, never those of /etc."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import subprocess
from pathlib import Path

from harness.targets.boxed import Boxed
from harness.targets.daemon import PATIENCE, Daemon, field, files_under
from harness.targets.place import LOOPBACK, TargetError

_DAEMONS = Path("/usr/lib/postfix/sbin")
# As postfix-files(5) has them: owned by the user postfix, for nobody else.
_QUEUE = ("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private", "saved", "trace")
_IN_WORK = ("maildrop", "incoming", "active", "deferred", "hold")
_SERVICES = (
    "pickup unix n - n 1 1 pickup",
    "cleanup unix n - n - 0 cleanup",
    "qmgr unix n - n 1 1 qmgr",
    "rewrite unix - - n - - trivial-rewrite",
    *(f"{name} unix - - n - 0 bounce" for name in ("bounce", "defer", "trace")),
    "verify unix - - n - 1 verify",
    "flush unix n - n 1000? 0 flush",
    "proxymap unix - - n - - proxymap",
    "smtp unix - - n - - smtp",
    "relay unix - - n - - smtp",
    "showq unix n - n - - showq",
    *(f"{name} unix - - n - - error" for name in ("error", "retry")),
    "discard unix - - n - - discard",
    "virtual unix - n n - - virtual",
    "anvil unix - - n - 1 anvil",
    "scache unix - - n - 1 scache",
    "tlsmgr unix - - n 1000? 1 tlsmgr",
    "postlog unix-dgram n - n - 1 postlogd",
)


class Postfix(Daemon):
    """Every local part of the domain is delivered by virtual(8), into one Maildir."""

    kind = "postfix"
    package = "postfix"

    @classmethod
    def missing(cls) -> str:
        """What it lacks on this machine."""
        if not (_DAEMONS / "master").exists():
            return f"{_DAEMONS}/master is not here (harness/targets/install_targets.sh installs Postfix)"
        try:
            pwd.getpwnam("postfix"), grp.getgrnam("postdrop")
        except KeyError as error:
            return f"{error} (Postfix's package makes it)"
        return ""

    @classmethod
    def version(cls) -> str:
        """Of its configuration's defaults."""
        return subprocess.check_output(["/usr/sbin/postconf", "-dh", "mail_version"], text=True).strip()

    def configure(self) -> None:
        """main.cf, master.cf, and the folders that `postfix check` would make."""
        user = pwd.getpwnam("postfix")
        drop = grp.getgrnam("postdrop").gr_gid
        shutil.rmtree(self.folder / "queue", ignore_errors=True)
        for name in ("etc", "queue", "queue/pid"):
            (self.folder / name).mkdir(exist_ok=True)
        for name in (*(f"queue/{each}" for each in _QUEUE), "data", "mail"):
            (self.folder / name).mkdir(0o700, exist_ok=True)
            os.chown(self.folder / name, user.pw_uid, user.pw_gid)
        for name, mode in (("public", 0o710), ("maildrop", 0o730)):
            path = self.folder / "queue" / name
            path.mkdir()
            os.chown(path, user.pw_uid, drop)
            path.chmod(mode)
        etc = self.folder / "etc"
        (etc / "main.cf").write_text("".join(f"{name} = {value}\n" for name, value in self._settings(user).items()))
        (etc / "master.cf").write_text("\n".join([f"{LOOPBACK}:{self.port} inet n - n - - smtpd", *_SERVICES, ""]))
        (etc / "dynamicmaps.cf").write_text("")
        self.write_certificate(0, 0)

    def _settings(self, user: pwd.struct_passwd) -> dict[str, str]:
        routes = {name: f"smtp:[{LOOPBACK}]:{port}" for name, port in self.site.routes.items()}
        return {
            "compatibility_level": "3.6",
            "queue_directory": str(self.folder / "queue"),
            "data_directory": str(self.folder / "data"),
            "maillog_file": str(self.log),
            "maillog_file_prefixes": str(self.folder),
            "myhostname": self.hostname,
            "mydomain": self.domain,
            "inet_interfaces": LOOPBACK,
            "inet_protocols": "ipv4",
            "smtp_bind_address": LOOPBACK,
            "smtp_dns_support_level": "disabled",
            "mydestination": "",
            "local_transport": "virtual",  # for the address literal, which can't be a virtual domain
            "local_recipient_maps": "",
            "alias_maps": "",
            "alias_database": "",
            "virtual_mailbox_domains": f"{self.domain}, {self.hostname}",
            "virtual_mailbox_base": str(self.folder / "mail"),
            "virtual_mailbox_maps": self._mailboxes(),
            "virtual_mailbox_limit": "0",
            "virtual_uid_maps": f"static:{user.pw_uid}",
            "virtual_gid_maps": f"static:{user.pw_gid}",
            "virtual_minimum_uid": "1",
            "relay_domains": ", ".join(routes),
            "relay_recipient_maps": "",
            "parent_domain_matches_subdomains": "",
            "transport_maps": f"inline:{{ {', '.join(f'{{{name}={to}}}' for name, to in routes.items())} }}"
            if routes
            else "",
            "default_transport": "error:5.4.4 no route",
            "smtpd_relay_restrictions": "reject_unauth_destination",
            "mynetworks": "",
            "local_header_rewrite_clients": "",  # this machine's clients are strangers: their headers stay as they are
            "swap_bangpath": "no",
            "allow_percent_hack": "no",
            # Both spare the loopback by default, which is where our clients are.
            "smtpd_forbid_bare_newline": "normalize",
            "smtpd_forbid_bare_newline_exclusions": "",
            "smtpd_forbid_unauth_pipelining": "yes",
            "message_size_limit": str(self.site.size),
            "mailbox_size_limit": "0",
            "smtpd_client_connection_count_limit": "0",
            "smtpd_error_sleep_time": "0",
            "minimal_backoff_time": "1s",
            "maximal_backoff_time": "2s",
            "queue_run_delay": "1s",
            "maximal_queue_lifetime": "1m",
            "bounce_queue_lifetime": "1m",
            "biff": "no",
            "in_flow_delay": "0",
            "smtp_destination_concurrency_failed_cohort_limit": "0",
            **(
                {"smtpd_tls_security_level": "may", "smtpd_tls_chain_files": str(self.certificate)}
                if self.site.tls
                else {}
            ),
        }

    def _mailboxes(self) -> str:
        """Postmaster's has no domain of its own where the client named none: it is $myorigin's, the host's."""
        names = (*self.site.users, "postmaster") if self.site.users else ()
        boxes = [f"{{{name}@{domain}=box/}}" for name in names for domain in (self.domain, self.hostname)]
        return f"inline:{{ {', '.join(boxes)} }}" if boxes else "static:box/"

    def launch(self) -> Boxed:
        """As master(8), in the foreground, without a terminal."""
        return Boxed([str(_DAEMONS / "master"), "-d", "-c", str(self.folder / "etc")], self.folder / "console")

    def queued(self) -> list[Path]:
        """The queue files of the queues in which a mail is on its way."""
        return files_under(*(self.folder / "queue" / name for name in _IN_WORK))

    def kick(self) -> None:
        """postqueue -f."""
        done = self.box.run("/usr/sbin/postqueue", "-c", str(self.folder / "etc"), "-f", patience=PATIENCE)
        if done.returncode:
            raise TargetError(f"postqueue -f: {done.stderr}")

    def recipient_of(self, raw: bytes) -> str:
        """virtual(8) writes it on top of the mail."""
        return field(raw, b"X-Original-To")

    def said(self) -> str:
        """What it said before it had its log, too."""
        console = self.folder / "console"
        return super().said() + (console.read_text("utf-8", "replace") if console.exists() else "")
