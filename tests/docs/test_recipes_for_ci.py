"""The recipes for machines: what of them can be run here is, the rest is read as those services read it."""

from __future__ import annotations

import configparser
import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.docs.test_documentation import BLOCKS, ROOT, SETTINGS

TEST = """
def test_mail(mail_pair):
    mail_pair.jaku.send("leia@deathstar.com", subject="Hello")
    assert mail_pair.deathstar.wait_for(subject="Hello")
"""


def recipes(language: str) -> list[str]:
    return [block.source for block in BLOCKS if block.language == language and "recipes.md" in block.place]


def commands(document: Any) -> list[str]:
    """What the services would run, in order."""
    if "jobs" in document:
        return [step["run"] for job in document["jobs"].values() for step in job["steps"] if "run" in step]
    return [line for job in document.values() for line in job["script"]]


def test_the_services_can_read_them() -> None:
    """Both are YAML, install the package with an extra that there is, then run pytest; actions have a version, and a
    matrix is of texts (3.10 would be 3.1)."""
    yaml = pytest.importorskip("yaml", reason="PyYAML is in the group frameworks")
    github, gitlab = map(yaml.safe_load, recipes("yaml"))
    for document in (github, gitlab):
        install, run = commands(document)
        assert re.search(r'pip install .*"smtp-pair\[tls\]"', install)
        assert run.startswith("pytest ")
    (job,) = github["jobs"].values()
    assert all(re.fullmatch(r"actions/[a-z-]+@v\d+", step["uses"]) for step in job["steps"] if "uses" in step)
    assert all(isinstance(version, str) for version in job["strategy"]["matrix"]["python-version"])
    assert gitlab["test"]["artifacts"]["reports"]["junit"] == "report.xml"


def test_they_run_side_by_side(pytester: pytest.Pytester) -> None:
    """All recipes that are tests, on two workers at once."""
    here = [block for block in BLOCKS if "recipes.md" in block.place and "def test_" in block.source]
    runnable = [block for block in here if not block.needs or importlib.util.find_spec(block.needs)]
    for number, block in enumerate(runnable):
        (pytester.path / f"test_recipe_{number}.py").write_text(block.source, "utf-8")
    pytester.makefile(".ini", pytest=SETTINGS)
    pytester.runpytest_subprocess("-n", "2", "-p", "no:cacheprovider").assert_outcomes(passed=len(runnable))


def test_tox_runs_the_recipe(tmp_path: Path) -> None:
    """As it stands, but for the package, which comes from this checkout."""
    pytest.importorskip("tox", reason="tox is in the group frameworks")
    (recipe,) = recipes("ini")
    config = configparser.ConfigParser()
    config.read_string(recipe)
    assert "smtp-pair[tls]" in config["testenv"]["deps"]
    (tmp_path / "tox.ini").write_text(recipe.replace("smtp-pair[tls]", f"{ROOT}[tls]"))
    (tmp_path / "test_mail.py").write_text(TEST)
    command = [sys.executable, "-m", "tox", "run", "--workdir", str(tmp_path / ".tox")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)
    if "No matching distribution found" in done.stdout and "Failed to establish a new connection" in done.stdout:
        pytest.skip("no network: tox can't install anything")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
