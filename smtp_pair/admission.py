"""What a server's sessions are held to, by its configuration: the rules of the protocol, and who may enter."""

from __future__ import annotations

from smtp_pair.aliases import Aliases
from smtp_pair.clock import Clock
from smtp_pair.config import Domain
from smtp_pair.greylist import Greylist
from smtp_pair.policy import Policy
from smtp_pair.protocol import Rules
from smtp_pair.quota import Quota
from smtp_pair.routes import Routes
from smtp_pair.sasl import MECHANISMS, PASSWORD_MECHANISMS, passwords


def policy(config: Domain, routes: Routes, aliases: Aliases, quota: Quota | None, clock: Clock) -> Policy:
    """Who may enter, by the configuration; the quota and the greylist are asked only where there are any."""
    return Policy(
        config,
        routes,
        aliases,
        has_room=quota.has_room if quota is not None else None,
        knows=Greylist(config.greylist, clock.now).knows if config.greylist else None,
    )


def rules(config: Domain) -> Rules:
    """What the protocol has to know of the configuration."""
    mechanisms = () if config.auth is None else MECHANISMS if callable(config.auth) else PASSWORD_MECHANISMS
    auth = config.auth or {}
    return Rules(
        config.hostname,
        config.size,
        config.limits,
        starttls=config.tls in ("offered", "required"),
        tls_required=config.tls == "required",
        mechanisms=tuple(mechanisms),
        auth_required=config.auth_required,
        auth_requires_tls=config.tls != "off" if config.auth_requires_tls is None else config.auth_requires_tls,
        authenticate=auth if callable(auth) else passwords(auth),
        reject_bare_newline=config.bare_newline == "reject",
    )
