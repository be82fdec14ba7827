"""A real browser, which tells of all that a page does; and runs of tests that have something to report."""

from __future__ import annotations

import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "test-results" / "report"
"""Where the pictures of the pages go: what CI keeps."""
AXE = ROOT / ".tox" / "report-browser" / "node_modules" / "axe-core" / "axe.min.js"
Theme = Literal["light", "dark"]
INSTALL = "tests/report/install_browser.sh brings it"

RunSuite = Callable[..., pytest.RunResult]


@pytest.fixture
def run_suite(pytester: pytest.Pytester) -> RunSuite:
    """Runs a file of tests in a process of its own: ``run_suite(source, *arguments)``."""

    def run(source: str, *arguments: str) -> pytest.RunResult:
        pytester.makefile(".ini", pytest="[pytest]\nasyncio_default_fixture_loop_scope = function\n")
        pytester.makepyfile(test_of_a_user=source)
        return pytester.runpytest_subprocess("-p", "no:cacheprovider", *arguments, timeout=120)

    return run


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, headless."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is in the group report")
    found = next((path for name in ("chromium", "google-chrome") if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"there is no chromium here; {INSTALL}")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass
class Looked:
    """A page, and what it did."""

    page: Any
    loads: bool = True
    """Whether all that is in it can be expected to load."""
    requests: list[str] = field(default_factory=list)
    """What it asked for, itself left out."""
    console: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    """Dialogues, downloads, windows."""

    @property
    def misdeeds(self) -> list[str]:
        """All that a report must not do."""
        return [*self.requests, *self.console, *self.others]

    def refuse(self, dialog: Any) -> None:
        """Of a dialogue."""
        self.others.append(f"a dialogue: {dialog.message}")
        dialog.dismiss()

    def unfold(self) -> None:
        """Open all that can be opened."""
        self.page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")

    def each_tab(self) -> Iterator[None]:
        """Show the first tab of all mails, then the second ..."""
        most = self.page.evaluate(
            "Math.max(0, ...[...document.querySelectorAll('.tabs')]"
            ".map(tabs => tabs.querySelectorAll(':scope>input').length))"
        )
        for number in range(most):
            self.page.evaluate(
                "at => { for (const tabs of document.querySelectorAll('.tabs')) "
                "{ const one = tabs.querySelectorAll(':scope>input')[at]; if (one) one.checked = true; } }",
                number,
            )
            yield

    def settle(self) -> None:
        """Let the page do what it has in mind: two frames are drawn, and all of its frames have loaded."""
        if self.loads:
            self.page.wait_for_load_state("networkidle")
        self.page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


Look = Callable[..., Any]


@pytest.fixture
def look(browser: Browser) -> Iterator[Callable[..., Looked]]:
    """Opens a file: ``look(path, width=1280, theme="light", script=True)``."""
    contexts = []

    def open_(
        path: Path, *, width: int = 1280, theme: Theme = "light", script: bool = True, loads: bool = True
    ) -> Looked:
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=theme, java_script_enabled=script
        )
        context.set_default_timeout(120_000)  # a loaded machine takes its time
        contexts.append(context)
        page: Page = context.new_page()
        looked = Looked(page, loads=loads)
        address = path.resolve().as_uri()
        context.on(
            "request",
            lambda request: (
                looked.requests.append(request.url)
                if request.url.partition("#")[0] != address and not request.url.startswith(("data:", "about:"))
                else None
            ),
        )
        context.on("page", lambda opened: looked.others.append(f"a window: {opened.url}"))
        page.on("console", lambda said: looked.console.append(f"{said.type}: {said.text}"))
        page.on("pageerror", lambda error: looked.console.append(f"error: {error}"))
        page.on("dialog", lambda dialog: looked.refuse(dialog))
        page.on("download", lambda download: looked.others.append(f"a download: {download.url}"))
        page.goto(address, wait_until="load" if loads else "domcontentloaded")
        return looked

    yield open_
    for context in contexts:
        context.close()


@dataclass
class Trap:
    """A server that counts who comes."""

    address: str
    visitors: list[str] = field(default_factory=list)


@contextmanager
def trap() -> Iterator[Trap]:
    """One on this machine: a connection is a visit, whether something is asked or not."""
    listening = socket.create_server(("127.0.0.1", 0))
    trapped = Trap(f"http://127.0.0.1:{listening.getsockname()[1]}")

    def serve() -> None:
        while True:
            try:
                wire, _ = listening.accept()
            except OSError:
                return
            with wire:
                wire.settimeout(1)  # who only opens a connection is a visitor as well
                try:
                    trapped.visitors.append(wire.recv(200).decode("latin-1"))
                except OSError:
                    trapped.visitors.append("")

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield trapped
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()
