"""The servers by their names, as ``--mail-target`` has them."""

from __future__ import annotations

from collections.abc import Mapping

from harness.targets.daemon import Daemon
from harness.targets.exim import Exim
from harness.targets.opensmtpd import OpenSmtpd
from harness.targets.postfix import Postfix

EMBEDDED = "embedded"
DAEMONS: Mapping[str, type[Daemon]] = {kind.kind: kind for kind in (Postfix, Exim, OpenSmtpd)}
NAMES = (EMBEDDED, *DAEMONS)
