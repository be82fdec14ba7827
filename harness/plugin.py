"""The scenario matrix as fixtures, for this repository's own suite (loaded by ``conftest.py``)."""
