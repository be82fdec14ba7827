"""The panes over real servers."""

from __future__ import annotations

import pytest

from harness import panes_stage
from harness.panes_stage import Show


@pytest.fixture
def show() -> Show:
    """Starts servers, and panes for them."""
    return panes_stage.shown
