"""Cases: how long it takes until mail can be sent, and what a suite pays that does not send any."""

from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from unittest import mock

from harness.bench.case import OURS, AtMost, Beats, Case, Competitors, Measure, Missing, Setting
from harness.bench.engines import HOST, Handler, controller, free_port
from harness.bench.load import Client
from harness.bench.machine import version
from harness.bench.serve import Seen

_CONTROLLERS = "2 Controllers"
_PROJECT = Path(__file__).parent.parent.parent


def _timed(action: Callable[[], object], scale: float) -> Measure:
    def measure() -> float:
        began = time.perf_counter()
        action()
        return (time.perf_counter() - began) * scale

    return measure


def _start_stop(setting: Setting) -> Competitors:
    from smtp_pair.network import Pair

    def ours() -> None:
        with Pair():
            pass

    def controllers() -> None:
        with ExitStack() as stack:
            for _ in range(2):
                controller(Handler(Seen()), stack)

    def sockets() -> None:
        with ExitStack() as stack:
            for _ in range(2):
                sock = stack.enter_context(socket.socket())
                sock.bind((HOST, 0))
                sock.listen()

    return {
        OURS: _timed(ours, 1000),
        _CONTROLLERS: _timed(controllers, 1000),
        "2 bare sockets": _timed(sockets, 1000),
    }


def _with_a_mail(setting: Setting) -> Competitors:
    """What a start leaves to the first connection is in it, and the folder that the mail is stored in."""
    from smtp_pair.network import Pair

    def send(port: int) -> None:
        with Client(port) as client:
            client.send(b"Subject: x\r\n\r\nx\r\n")

    def ours() -> None:
        with Pair() as pair:
            send(pair.jaku.port)

    def controllers() -> None:
        with ExitStack() as stack:
            ports = [controller(Handler(Seen()), stack) for _ in range(2)]
            send(ports[0])

    return {OURS: _timed(ours, 1000), _CONTROLLERS: _timed(controllers, 1000)}


# -- under pytest ----------------------------------------------------------------------------------------------------

_TIMER = """
import json, pytest, time
moments = []
@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item):
    yield
    moments.append(time.perf_counter())
def pytest_sessionfinish():
    print("\\nbench:", json.dumps((moments[-1] - moments[0]) / (len(moments) - 1)))  # the first one imports
"""
_TESTS = {
    OURS: "def test_it(mail_pair, number):\n    assert mail_pair.jaku.port\n",
    _CONTROLLERS: """
from contextlib import ExitStack
from aiosmtpd.handlers import Sink
from harness.bench.engines import controller
@pytest.fixture
def controllers():
    with ExitStack() as stack:
        yield [controller(Sink(), stack) for _ in range(2)]
def test_it(controllers, number):
    assert controllers[0]
""",
    "smtpdfix (one server)": "def test_it(smtpd, number):\n    assert smtpd.port\n",
    "a bare test": "def test_it(number):\n    assert number >= 0\n",
}
_PLUGINS = {OURS: "smtp_pair.pytest_plugin", "smtpdfix (one server)": "smtpdfix.fixture"}


def _pytest(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider", *arguments, str(folder)]
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(_PROJECT)}
    environment.pop("PYTEST_ADDOPTS", None)
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def _pytest_cost(setting: Setting) -> Competitors:
    count = setting.amount(200, 2)

    def measure_of(name: str) -> Measure | Missing:
        if name.startswith("smtpdfix") and not version("smtpdfix"):
            return Missing("pip install smtpdfix")
        folder = setting.folder / name.replace(" ", "-")
        folder.mkdir()
        numbers = f"import pytest\n@pytest.fixture(params=range({count}))\ndef number(request): return request.param\n"
        (folder / "pytest.ini").write_text("[pytest]\n")
        (folder / "conftest.py").write_text(_TIMER)
        (folder / "test_it.py").write_text(numbers + _TESTS[name])
        plugins = ["-p", _PLUGINS[name]] if name in _PLUGINS else []

        def measure() -> float:
            done = _pytest(folder, *plugins)
            if done.returncode:
                raise RuntimeError(done.stdout + done.stderr)
            [said] = [line for line in done.stdout.splitlines() if line.startswith("bench: ")]
            return float(json.loads(said.removeprefix("bench: "))) * 1000

        return measure

    return {name: measure_of(name) for name in _TESTS}


def _plugin_start(setting: Setting) -> Competitors:
    (setting.folder / "pytest.ini").write_text("[pytest]\n")
    (setting.folder / "test_it.py").write_text("def test_it(): pass\n")

    def seconds(*arguments: str) -> float:
        """Of processor time: what a shared machine changes least."""
        before = os.times()
        _pytest(setting.folder, *arguments)
        after = os.times()
        return after.children_user + after.children_system - before.children_user - before.children_system

    def added(plugin: str) -> Measure:
        def measure() -> float:
            # There and back again: what drifts cancels out.
            with_it, without = seconds("-p", plugin), seconds()
            without, with_it = without + seconds(), with_it + seconds("-p", plugin)
            return (with_it - without) / 2 * 1000

        return measure

    return {OURS: added("smtp_pair.pytest_plugin")} | {
        name: added(module) if version(name) else Missing(f"pip install {name}")
        for name, module in {"smtpdfix": "smtpdfix.fixture", "pytest-localserver": "pytest_localserver.plugin"}.items()
    }


# -- when things are not as they should be ---------------------------------------------------------------------------


def _busy_port(setting: Setting) -> Competitors:
    from smtp_pair.config import Domain
    from smtp_pair.mail.errors import StartError
    from smtp_pair.network import Network

    taken = setting.stack.enter_context(socket.socket())
    taken.bind((HOST, 0))
    taken.listen()
    port = int(taken.getsockname()[1])

    def ours() -> None:
        with suppress(StartError):
            Network(Domain("a.test", port=port)).start()
            raise AssertionError("it started")

    def stock() -> None:
        from aiosmtpd.controller import Controller

        with suppress(OSError, TimeoutError):
            Controller(Handler(Seen()), hostname=HOST, port=port).start()
            raise AssertionError("it started")

    return {OURS: _timed(ours, 1000), "Controller": _timed(stock, 1000)}


_SILENCE = 0.3


@contextmanager
def _silent_dns() -> Iterator[None]:
    """Look-ups of names take a while and find nothing, as where a resolver is configured and does not answer."""

    def silent(*_: object) -> str:
        time.sleep(_SILENCE)
        return "localhost"

    with mock.patch("socket.getfqdn", silent), mock.patch("socket.gethostbyaddr", silent):
        yield


def _dns(setting: Setting) -> Competitors:
    from aiosmtpd.controller import Controller

    from smtp_pair.network import Pair

    pair = setting.stack.enter_context(Pair(directory=setting.folder / "ours"))
    found: dict[str, Measure | Missing] = {OURS: _added_by_dns(pair.jaku.port)}
    if setting.alone:
        return found
    running = Controller(Handler(Seen()), hostname=HOST, port=free_port())  # no name of its own: by default
    running.start()
    setting.stack.callback(running.stop)
    return found | {"Controller": _added_by_dns(running.port)}


def _added_by_dns(port: int) -> Measure:
    def session() -> None:
        with Client(port) as client:
            client.send(b"Subject: x\r\n\r\nx\r\n")

    measure = _timed(session, 1000)

    def added() -> float:
        usual = measure()
        with _silent_dns():
            return max(0.0, measure() - usual)

    return added


def _thousand(setting: Setting) -> Competitors:
    count = setting.amount(1000, 5)
    programs = {
        OURS: "from smtp_pair.network import Network\n"
        f"net = Network(*[f'd{{n}}.test' for n in range({count})])\n"
        "net.start()\n",
        f"{count:,} Controllers": "from contextlib import ExitStack\n"
        "from harness.bench.engines import Handler, controller\nfrom harness.bench.serve import Seen\n"
        f"[controller(Handler(Seen()), ExitStack()) for _ in range({count})]\n",
    }

    def measure_of(program: str) -> Measure:
        timed = (
            "import resource, time, os, aiosmtpd.controller, smtp_pair.network\n"
            "most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]\n"
            "resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))\nbegan = time.perf_counter()\n"
            f"{program}print(time.perf_counter() - began, flush=True)\nos._exit(0)\n"
        )

        def measure() -> float:
            command = [sys.executable, "-c", timed]
            done = subprocess.run(command, cwd=_PROJECT, capture_output=True, text=True, check=True)
            return float(done.stdout)

        return measure

    return {name: measure_of(program) for name, program in programs.items()}


logging.getLogger("mail.log").setLevel(logging.ERROR)  # aiosmtpd tells about the slow look-ups of the DNS case

CASES = (
    Case(
        "start_stop",
        "start and stop of a pair",
        "ms",
        _start_stop,
        (Beats(_CONTROLLERS, 10),),
        rounds=100,
    ),
    Case("start_mail_stop", "the same with a mail sent to it", "ms", _with_a_mail, rounds=100),
    Case(
        "pytest_cost",
        "a test under pytest with a pair",
        "ms",
        _pytest_cost,
        (Beats(_CONTROLLERS, 5), Beats("smtpdfix (one server)", 4)),
    ),
    Case("plugin_start", "plugin installed and unused, added to pytest's start", "ms", _plugin_start, (AtMost(10),)),
    Case("busy_port", "the port is taken: until the error", "ms", _busy_port, (AtMost(50),), rounds=3),
    Case("silent_dns", f"DNS silent for {_SILENCE:g} s: added to a session", "ms", _dns, (AtMost(5),), rounds=5),
    Case("thousand_domains", "1,000 domains in one process: start", "s", _thousand, (AtMost(0.5),), rounds=3),
)
