"""Every code block of the README and of docs/ is executed, so that none of them can lie.

A Python block with tests in it is run by pytest as a file of its own, any other Python block by itself; of a block for
the terminal each command must be there, with the options shown. Only a visible comment right before a block leaves it
out, with the reason: ``<!-- not executed: it needs a screen -->``.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LEFT_OUT = re.compile(r"<!-- not executed: \S.* -->\n*\Z")
NEEDS = re.compile(r"<!-- needs (\w+) -->\n*\Z")
"""Right before a block: the package that is in no group but `frameworks`."""
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")
SETTINGS = """[pytest]
asyncio_default_fixture_loop_scope = function
filterwarnings =
    error
    # aiosmtplib does not wait until TLS is closed, and the loop of a test ends before.
    ignore:Exception ignored in. <(function _SelectorTransport|socket):pytest.PytestUnraisableExceptionWarning
"""


class Block(NamedTuple):
    place: str
    language: str
    source: str
    left_out: bool
    needs: str


def blocks(page: Path) -> list[Block]:
    text = page.read_text("utf-8")
    found = []
    for fence in FENCE.finditer(text):
        line = text.count("\n", 0, fence.start()) + 1
        left_out = LEFT_OUT.search(text, 0, fence.start()) is not None
        needs = NEEDS.search(text, 0, fence.start())
        place = f"{page.relative_to(ROOT).as_posix()}:{line}"
        found.append(Block(place, fence[1].strip(), fence[2], left_out, needs[1] if needs else ""))
    return found


BLOCKS = [block for page in PAGES for block in blocks(page)]


def each(*languages: str) -> pytest.MarkDecorator:
    chosen = [block for block in BLOCKS if block.language in languages and not block.left_out]
    return pytest.mark.parametrize("block", [pytest.param(block, id=block.place) for block in chosen])


@each("python")
def test_python(block: Block, pytester: pytest.Pytester) -> None:
    """It does what it shows, in a process of its own, and gives no warning."""
    if block.needs:
        pytest.importorskip(block.needs, reason=f"{block.needs} is in the group frameworks")
    if re.search(r"^(async )?def test_", block.source, re.MULTILINE):
        pytester.makefile(".ini", pytest=SETTINGS)
        file = pytester.path / "test_block.py"
        file.write_text(block.source, "utf-8")
        result = pytester.runpytest_subprocess("-p", "no:cacheprovider", file)
        assert result.ret == 0, f"{block.place} fails"
        assert result.parseoutcomes().keys() == {"passed"}
    else:
        command = [sys.executable, "-W", "error", "-c", block.source]
        done = subprocess.run(command, cwd=pytester.path, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, ""), f"{block.place} fails"


@each("console", "sh", "bash", "shell")
def test_commands(block: Block) -> None:
    """Each command is there, and takes the options that are shown."""
    for line in block.source.splitlines():
        words = shlex.split(line.removeprefix("$ "), comments=True)
        if words:
            check_command(words)


def check_command(words: list[str]) -> None:
    name, *rest = words
    if name in ("python3", "python") and rest[0] == "run.py":
        assert (ROOT / "run.py").is_file()
        if rest[1] == "check":
            check_options([sys.executable, "-m", "harness.check"], rest[2:])
        elif rest[1] != "test":
            check_command(["smtp-pair", *rest[1:]])
    elif name == "smtp-pair":
        check_options([sys.executable, "-m", "smtp_pair", *rest[:1]], rest)
    elif name == "pip":
        project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
        wanted = re.fullmatch(r"([\w-]+)(?:\[([\w,]+)\])?", rest[-1])
        assert wanted and wanted[1] == project["name"]
        assert set((wanted[2] or "all").split(",")) <= project["optional-dependencies"].keys()
    else:
        assert shutil.which(name) or (ROOT / name).exists(), f"no {name} here"


def check_options(command: list[str], words: list[str]) -> None:
    done = subprocess.run([*command, "--help"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [option for option in words if option.startswith("--") and option not in done.stdout] == []


def test_no_block_is_forgotten() -> None:
    """Each block says what it is in, settings can be read, and what is not executed says why."""
    known = {"python", "console", "sh", "bash", "shell", "toml", "text", "yaml", "ini"}
    assert [block.place for block in BLOCKS if block.language not in known] == []
    assert any(block.language == "python" for block in BLOCKS)
    for block in BLOCKS:
        if block.language == "toml":
            tomllib.loads(block.source)
    for page in PAGES:
        marks = re.findall(r"<!--.*not executed.*", page.read_text("utf-8"))
        assert len(marks) == sum(block.left_out for block in blocks(page)), (
            f"a mark in {page.name} has no reason or block"
        )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Every link to a file of the checkout."""
    links = LINK.findall(FENCE.sub("", page.read_text("utf-8")))
    assert [link for link in links if not (page.parent / link).exists()] == []
