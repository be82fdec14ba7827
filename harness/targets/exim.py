"""Exim, Debian's, unpacked and not installed: its package and Postfix's exclude each other."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from pathlib import Path

from harness.targets.boxed import Boxed
from harness.targets.daemon import PATIENCE, UNPACKED, Daemon, field, files_under
from harness.targets.place import LOOPBACK, TargetError

_PROGRAMS = (UNPACKED / "exim" / "usr" / "sbin" / "exim4", Path("/usr/sbin/exim4"))
_USER = "Debian-exim"

_CONFIGURATION = """\
primary_hostname = {hostname}
exim_path = {program}
exim_user = {user}
exim_group = {user}
deliver_drop_privilege = true
spool_directory = {folder}/spool
log_file_path = {folder}/spool/log-%s
pid_file_path = {folder}/spool/pid
daemon_smtp_ports = {port}
local_interfaces = {loopback}
{tls}
chunking_advertise_hosts = *
smtputf8_advertise_hosts = *
dsn_advertise_hosts = *
allow_domain_literals = true
never_users =
acl_smtp_rcpt = recipient
acl_smtp_data = accepted
smtp_accept_max = 0
smtp_accept_max_per_connection = 0
smtp_accept_queue_per_connection = 0
smtp_accept_queue = 0
smtp_max_synprot_errors = 20
smtp_max_unknown_commands = 20
message_size_limit = {size}
queue_run_max = 5
remote_max_parallel = 4
rfc1413_query_timeout = 0s
dns_csa_search_limit = 0
host_lookup =
bounce_return_size_limit = 100K
delay_warning =
ignore_bounce_errors_after = 0s
timeout_frozen_after = 1m
keep_environment =
trusted_users = {user}

domainlist own = {own}
domainlist routed = {routed}
localpartlist people = {people}

begin acl
recipient:
  accept domains = +own
         local_parts = +people
  deny   domains = +own
         message = there is nobody of this name
  accept domains = +routed
  deny message = relay not permitted
accepted:
  accept

begin routers
{routers}
own:
  driver = accept
  domains = +own
  transport = box

begin transports
box:
  driver = appendfile
  maildir_format = true
  directory = {folder}/spool/box
  create_directory = true
  delivery_date_add = false
  envelope_to_add = true
  return_path_add = true
{transports}

begin retry
* * F,1m,1s
"""
_TLS = """\
tls_advertise_hosts = *
tls_certificate = {file}
tls_privatekey = {file}"""
_ROUTER = """\
to_{number}:
  driver = manualroute
  domains = {domains}
  transport = by_{number}
  route_list = * {loopback}
  self = send
  no_more
"""
_TRANSPORT = """\
by_{number}:
  driver = smtp
  port = {port}
  allow_localhost
  hosts_try_fastopen =
"""


class Exim(Daemon):
    """Every local part of the domain is delivered by appendfile, into one Maildir."""

    kind = "exim"
    package = "exim4-daemon-light"

    @classmethod
    def missing(cls) -> str:
        """What it lacks on this machine."""
        if not any(program.exists() for program in _PROGRAMS):
            return "Exim is not here (harness/targets/install_targets.sh unpacks it)"
        try:
            pwd.getpwnam(_USER)
        except KeyError:
            return f"there is no user {_USER} (harness/targets/install_targets.sh makes it)"
        return ""

    @classmethod
    def version(cls) -> str:
        """Of the program."""
        program = next(each for each in _PROGRAMS if each.exists())
        said = subprocess.run([program, "-C", "/dev/null", "-bV"], capture_output=True, text=True, check=False).stdout
        return said.partition("version ")[2].split()[0]

    @property
    def maildir(self) -> Path:
        """Its user makes it, in its own folder."""
        return self.folder / "spool" / "box"

    @property
    def log(self) -> Path:
        """Its main log."""
        return self.folder / "spool" / "log-main"

    def configure(self) -> None:
        """One file, and a spool that its user owns."""
        user = pwd.getpwnam(_USER)
        spool = self.folder / "spool"
        shutil.rmtree(spool, ignore_errors=True)
        spool.mkdir(0o755)
        os.chown(spool, user.pw_uid, user.pw_gid)
        program = self.folder / "exim4"
        if not program.exists():  # it starts itself anew as its user, which need not reach our checkout
            shutil.copy2(next(each for each in _PROGRAMS if each.exists()), program)
        routes = list(enumerate(sorted(self._by_port().items())))
        configuration = _CONFIGURATION.format(
            hostname=self.hostname,
            program=program,
            user=_USER,
            folder=self.folder,
            port=self.port,
            loopback=LOOPBACK,
            tls=_TLS.format(file=self.certificate) if self.site.tls else "tls_advertise_hosts =",
            size=self.site.size,
            people=" : ".join((*self.site.users, "postmaster")) if self.site.users else "*",
            own=" : ".join((self.domain, self.hostname, "@[]")),
            routed=" : ".join(self.site.routes),
            routers="\n".join(
                _ROUTER.format(number=number, domains=" : ".join(names), loopback=LOOPBACK)
                for number, (_, names) in routes
            ),
            transports="\n".join(_TRANSPORT.format(number=number, port=port) for number, (port, _) in routes),
        )
        self._file.write_text(configuration)
        self.write_certificate(user.pw_uid, user.pw_gid)

    def _by_port(self) -> dict[int, list[str]]:
        ports: dict[int, list[str]] = {}
        for name, port in self.site.routes.items():
            ports.setdefault(port, []).append(name)
        return ports

    @property
    def _file(self) -> Path:
        return self.folder / "exim.conf"

    def launch(self) -> Boxed:
        """In the foreground, with a queue runner each second."""
        words = ["-C", str(self._file), "-bdf", "-q1s"]
        return Boxed([str(self.folder / "exim4"), *words], self.folder / "console")

    def queued(self) -> list[Path]:
        """The -H and -D files of its spool, those being written among them."""
        return files_under(self.folder / "spool" / "input")

    def kick(self) -> None:
        """A queue runner that heeds no retry time."""
        done = self.box.run(str(self.folder / "exim4"), "-C", str(self._file), "-qff", patience=PATIENCE)
        if done.returncode:
            raise TargetError(f"exim -qff: {done.stderr}")

    def recipient_of(self, raw: bytes) -> str:
        """appendfile writes it on top of the mail, as often as the client named it."""
        return field(raw, b"Envelope-to").partition(",")[0]

    def said(self) -> str:
        """What it refused, and what it said before it had its logs, too."""
        others = (self.folder / "spool" / "log-reject", self.folder / "spool" / "log-panic", self.folder / "console")
        return super().said() + "".join(each.read_text("utf-8", "replace") for each in others if each.exists())
