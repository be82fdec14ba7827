"""Loads the harness for this repository's own suite, and says how long hypothesis searches.

The fixtures of ``smtp_pair`` itself come from the installed package's entry point, as for any user.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

pytest_plugins = ["harness.target_options", "harness.plugin", "harness.rules_plugin"]

# No deadline: how fast a machine is proves nothing about the code. `ci` finds more, `thorough` is for a long evening.
settings.register_profile("dev", deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", parent=settings.get_profile("dev"), max_examples=200, print_blob=True)
settings.register_profile("thorough", parent=settings.get_profile("dev"), max_examples=5000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))
