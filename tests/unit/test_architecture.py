"""The house as it is drawn in docs/architecture.md: who may import whom, read out of every module."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

import smtp_pair

ROOT = Path(smtp_pair.__path__[0])
LONGEST = 500
LONGER: dict[str, int] = {"protocol": 535, "session": 550}
"""Modules that may be longer, and how long: a table of commands and a method for each, or one connection from its
beginning to its end, read best together."""

PURE = {
    *("aliases", "checks", "config", "content", "facts", "fault_words", "faults", "greylist"),
    *("parameters", "policy", "protocol", "recorder", "routes", "sasl", "server_msg", "transcript"),
    *("report.body_filter", "report.figures", "report.kept", "report.mail_parts", "report.mail_view", "report.markup"),
    *("report.network_map", "report.page", "report.plots", "report.retries", "report.run", "report.section"),
    *("report.sequence", "report.styles", "report.time_line"),
}
"""Decisions without effects: tested without a socket, a disk or a loop."""
EFFECTS = {
    "asyncio",
    "socket",
    "ssl",
    "selectors",
    "threading",
    "subprocess",
    "os",
    "pathlib",
    "shutil",
    "tempfile",
    "time",
}
ASK_THE_TIME = {("time", "time"), ("time", "time_ns"), ("time", "monotonic"), ("time", "perf_counter")} | {
    (kind, method) for kind in ("datetime", "date") for method in ("now", "today", "utcnow")
}


class Import(NamedTuple):
    """One name that a module imports."""

    module: str
    late: bool
    """In a function: when it is called, not when the module is imported."""
    typing: bool
    """For the type checker alone."""


def modules() -> dict[str, Path]:
    """Every module of the package, by its name without ``smtp_pair.``; the package itself is ""."""
    found = {}
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


@cache
def tree(name: str) -> ast.Module:
    return ast.parse(MODULES[name].read_text("utf-8"))


@cache
def imports(name: str) -> tuple[Import, ...]:
    return tuple(_imports(tree(name), late=False, typing=False))


def _imports(node: ast.AST, *, late: bool, typing: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (Import(one.name, late, typing) for one in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0 and child.module is not None
            for one in child.names:
                inner = f"{child.module}.{one.name}"
                known = inner.removeprefix("smtp_pair.") in MODULES
                yield Import(inner if known else child.module, late, typing)
        else:
            checks_types = isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING")
            function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
            yield from _imports(child, late=late or function, typing=typing or checks_types)


def ours(name: str, *, late: bool = True) -> set[str]:
    """The modules of ours that a module imports when it runs, by their names without ``smtp_pair.``."""
    return {
        one.module.partition("smtp_pair")[2].lstrip(".")
        for one in imports(name)
        if one.module.split(".")[0] == "smtp_pair" and not one.typing and (late or not one.late)
    }


def others(name: str) -> set[str]:
    """The packages that are not ours, of which a module imports something when it runs."""
    return {one.module.split(".")[0] for one in imports(name) if not one.typing} - {"smtp_pair", "__future__"}


@pytest.mark.parametrize("name", sorted(name for name in MODULES if name.split(".")[0] == "mail"))
def test_what_travels_knows_nothing_of_the_house(name: str) -> None:
    """mail/ imports nothing of ours but mail/: no socket, no loop, no clock; nothing there can reach a disk but a path
    that it was given."""
    assert {one for one in ours(name) if one.split(".")[0] != "mail"} == set()
    assert others(name) & EFFECTS <= {"pathlib"}


@pytest.mark.parametrize("name", sorted(PURE))
def test_decisions_have_no_effects(name: str) -> None:
    """Protocol, policy, routes and their kin import mail/ and one another alone; nothing that acts or waits."""
    assert {one for one in ours(name) if one.split(".")[0] != "mail"} <= PURE
    assert others(name) & EFFECTS == set()


@pytest.mark.parametrize(
    ("name", "successors"),
    [
        (
            "session",
            {
                "acceptance",
                "store",
                "spool",
                "relay",
                "smtp_client",
                "journal",
                "inbox",
                "running",
                "server",
                "network",
            },
        ),
        ("protocol", {"session", "policy", "acceptance", "running", "server"}),
        (
            "store",
            {
                "spool",
                "relay",
                "smtp_client",
                "journal",
                "inbox",
                "acceptance",
                "session",
                "running",
                "server",
                "network",
            },
        ),
        (
            "spool",
            {
                "store",
                "relay",
                "smtp_client",
                "journal",
                "inbox",
                "acceptance",
                "session",
                "running",
                "server",
                "network",
            },
        ),
        ("relay", {"spool", "store", "journal", "inbox", "acceptance", "session", "running", "server", "network"}),
        ("journal", {"inbox", "spool", "store", "relay", "acceptance", "session", "running", "server", "network"}),
        ("inbox", {"journal", "spool", "store", "relay", "acceptance", "session", "running", "server", "network"}),
        ("acceptance", {"relay", "smtp_client", "running", "server", "network", "background", "listener"}),
        ("running", {"server", "network"}),
        ("server", {"network"}),
    ],
)
def test_no_stage_imports_its_successor(name: str, successors: set[str]) -> None:
    """A mail walks one way; what comes next is handed in by `running`, the only place where the stages are put
    together."""
    assert ours(name) & successors == set()


def test_the_server_is_put_together_in_one_place() -> None:
    """`server` is made by `network` alone; whoever else names it does so for its type."""
    assert {name for name in MODULES if "server" in ours(name)} <= {"network", "demo"}
    assert {name for name in MODULES if "running" in ours(name)} == {"server"}
    assert {name for name in MODULES if "relay" in ours(name)} == {"running"}
    assert {name for name in MODULES if "background" in ours(name)} == {"network", "server", "dns_server"}


def test_no_import_goes_round_in_circles() -> None:
    """At the modules' own level; what is imported in a function, or for the type checker, is not counted."""
    graph = {name: {one for one in ours(name, late=False) if one != name} for name in MODULES}
    try:
        order = list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(f"these import one another: {' -> '.join(error.args[1])}")
    assert set(order) == set(MODULES)


@pytest.mark.parametrize("name", sorted(MODULES))
def test_the_product_knows_neither_harness_nor_tests(name: str) -> None:
    """The wheel has neither, nor run.py and conftest.py (type checking included)."""
    assert not {one.module.split(".")[0] for one in imports(name)} & {
        "harness",
        "tests",
        "run",
        "conftest",
        "pytest_asyncio",
    }


def test_each_dependency_has_its_place() -> None:
    """aiosmtpd in `session` alone; what an extra brings only where it is used: nobody else waits for it."""
    places = {
        package: {name for name in MODULES if package in others(name)}
        for package in (
            "aiosmtpd",
            "pybase64",
            "trustme",
            "hypothesis",
            "pytest",
            "django",
            "aiosmtplib",
            "dns",
            "textual",
        )
    }
    assert places == {
        "aiosmtpd": {"session"},
        "pybase64": {"mail.decoding"},
        "trustme": {"tls"},
        "hypothesis": {"strategies"},
        "pytest": {"pytest_plugin", "pytest_report", "compat.smtpdfix", "compat.pytest_localserver"},
        "django": {"settings"},
        "aiosmtplib": set(),
        "dns": {"dns", "dns_server"},
        "textual": {f"screen.panes.{name}" for name in ("app", "dialogs", "widgets")},
    }


@pytest.mark.parametrize("name", ["", "pytest_plugin"])
def test_what_every_run_of_pytest_loads_is_light(name: str) -> None:
    """The package and its plugin import nothing of ours before it is asked for: aiosmtpd alone costs 110 ms."""
    assert ours(name, late=False) == set()


def test_the_clients_are_programs_of_their_own() -> None:
    """They speak to any server: no server, spool or loop of ours is in them."""
    for name in MODULES:
        if name.split(".")[0] == "clients":
            assert {one.split(".")[0] for one in ours(name)} <= {"clients", "mail"}
            assert "asyncio" not in others(name)


def test_only_the_clock_asks_what_time_it_is() -> None:
    """All else is handed the time. Exceptions: the inbox measures how long a test has waited; a client dates its mail,
    or tells when what it says again was said; the demo's lines are sorted by when they were said; the command
    line tells when a mail is due."""
    asked = {
        name: {
            ast.unparse(node)
            for node in ast.walk(tree(name))
            if isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and (node.value.id, node.attr) in ASK_THE_TIME
        }
        for name in MODULES
    }
    assert {name: calls for name, calls in asked.items() if calls} == {
        "clock": {"time.time"},
        "inbox": {"time.monotonic"},
        "clients.message": {"datetime.now"},
        "replay": {"time.monotonic"},
        "demo": {"time.time"},
        "queue_command": {"time.time"},
    }
    for name in MODULES:
        from_time = [
            node for node in ast.walk(tree(name)) if isinstance(node, ast.ImportFrom) and node.module == "time"
        ]
        assert from_time == [], f"{name} hides where it asks for the time"


@pytest.mark.parametrize("name", sorted(MODULES))
def test_a_module_has_one_job(name: str) -> None:
    """Its name and its docstring say which; one that grows past 500 lines has two."""
    assert ast.get_docstring(tree(name)), "no docstring"
    lines = len(MODULES[name].read_text("utf-8").splitlines())
    assert lines <= LONGER.get(name, LONGEST)


def test_replies_have_names() -> None:
    """No reply is a literal but in mail/reply.py; what a peer says is parsed."""
    literal = {
        name
        for name in MODULES
        for node in ast.walk(tree(name))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Reply" and node.args
        if isinstance(node.args[0], ast.Constant)
    }
    assert literal == {"mail.reply"}
