"""A pytest plugin that puts the shims in the place of smtpdfix and pytest-localserver, for those projects' own tests.

They also reach into modules that nobody else imports: those names are here and nowhere in the product. What makes their
certificates (``smtpdfix.certs``) is their own, taken from the working directory, for their tests hand the files over.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from smtp_pair.compat import pytest_localserver, smtpdfix, smtpdfix_config


def _alias(name: str, *modules: ModuleType, **more: object) -> ModuleType:
    alias = ModuleType(name, modules[0].__doc__)
    for module in modules:
        alias.__dict__.update({key: value for key, value in vars(module).items() if not key.startswith("__")})
    alias.__dict__.update(more)
    alias.__path__ = []
    sys.modules[name] = alias
    parent, _, child = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], child, alias)
    return alias


_alias("smtpdfix", smtpdfix)
_alias("smtpdfix.configuration", smtpdfix_config, _strtobool=smtpdfix_config.to_bool)
_alias("smtpdfix.event_handler", smtpdfix_config)
_alias("smtpdfix.controller", smtpdfix)
_alias("smtpdfix.fixture", smtpdfix, _Authenticator=smtpdfix.ConfigAuthenticator)
_alias("pytest_localserver", pytest_localserver)
_alias("pytest_localserver.plugin", pytest_localserver)
_alias("pytest_localserver.smtp", pytest_localserver)

if (certs := Path("certs.py")).exists():
    spec = importlib.util.spec_from_file_location("smtpdfix.certs", certs)
    assert spec is not None and spec.loader is not None
    sys.modules["smtpdfix.certs"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["smtpdfix.certs"])
