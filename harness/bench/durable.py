"""Case: mails that are safe before the 250, beside Postfix's."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import time
from pathlib import Path

from harness.bench.case import OURS, Beats, Case, Competitors, Measure, Missing, Setting
from harness.bench.engines import HOST, free_port
from harness.bench.load import RECIPIENT, many
from harness.bench.processes import own, wait_for_greeting

_SBIN = Path("/usr/lib/postfix/sbin")
_MASTER = """
{host}:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""
_MAIN = """
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/mail.log
maillog_file_prefixes = {folder}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = postfix.bench.test
mydestination =
alias_maps =
local_recipient_maps =
virtual_mailbox_domains = jaku.com
virtual_mailbox_base = {folder}/mail
virtual_mailbox_maps = inline:{{ {{{recipient}=luke/}} }}
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
smtpd_relay_restrictions = reject_unauth_destination
smtp_dns_support_level = disabled
smtpd_peername_lookup = no
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
"""


def _postfix(setting: Setting) -> int | Missing:
    """A Postfix in a folder of its own: with its queue, its mail and its port; gives the port."""
    if not (_SBIN / "master").is_file() or os.getuid() != 0:
        return Missing("apt-get install postfix, and root")
    folder = setting.folder / "postfix"
    port = free_port()
    user = pwd.getpwnam("postfix")
    for name in ("", "conf", "queue", "data", "mail"):
        (folder / name).mkdir(mode=0o755, parents=True, exist_ok=True)
    setting.folder.chmod(0o755)
    for name in ("data", "mail"):
        shutil.chown(folder / name, "postfix")
    (folder / "conf" / "main.cf").write_text(
        _MAIN.format(folder=folder, recipient=RECIPIENT, uid=user.pw_uid, gid=user.pw_gid)
    )
    (folder / "conf" / "master.cf").write_text(_MASTER.format(host=HOST, port=port))
    (folder / "conf" / "dynamicmaps.cf").touch()
    configured = ["-c", str(folder / "conf")]
    subprocess.run(["/usr/sbin/postfix", *configured, "check"], check=False, capture_output=True, timeout=60)
    process = subprocess.Popen(
        [_SBIN / "master", *configured, "-d"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )

    def stop() -> None:
        process.terminate()
        process.wait(10)

    setting.stack.callback(stop)
    return port if wait_for_greeting(port, process) else Missing(f"postfix does not start: see {folder}/mail.log")


def _durable(setting: Setting) -> Competitors:
    mails = setting.amount(1000, 4)

    def rate(port: int) -> Measure:
        def measure() -> float:
            began = time.perf_counter()
            many(setting.tools, port, clients=20, mails=mails, kept=True, octets=4096)
            return mails / (time.perf_counter() - began)

        return measure

    server = own(setting, "durable pair")
    assert not isinstance(server, Missing)
    postfix = Missing("left out") if setting.alone else _postfix(setting)
    return {OURS: rate(server.port), "Postfix": postfix if isinstance(postfix, Missing) else rate(postfix)}


CASES = (
    Case(
        "durable",
        "durable mode: mails accepted a second, 20 sessions, 4 KiB",
        "/s",
        _durable,
        (Beats("Postfix", 2),),
        more_is_better=True,
    ),
)
