"""run.py: what it decides, without a network."""

import ast
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import run

SOURCE = Path(run.__file__)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a pyproject.toml that run.py takes for its own."""
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    monkeypatch.setattr(run, "HERE", str(tmp_path))
    monkeypatch.setattr(run, "VENV", str(tmp_path / ".venv"))
    monkeypatch.setattr(run, "STAMP", str(tmp_path / ".venv" / "made-by-run.py"))
    return tmp_path


@pytest.fixture
def steps(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that would be run to make .venv; making it leaves an interpreter there, and nothing else happens."""
    taken: list[list[str]] = []

    def quietly(command: list[str]) -> None:
        taken.append(command)
        if "venv" in command:
            python = Path(run.program("python"))
            python.parent.mkdir(parents=True, exist_ok=True)
            python.touch()

    monkeypatch.setattr(run, "quietly", quietly)
    monkeypatch.setitem(sys.modules, "ensurepip", SimpleNamespace(version=str))
    return taken


@pytest.mark.parametrize("version", [(2, 7, 18, "final", 0), (3, 6, 15, "final", 0), (3, 10, 13, "final", 0)])
def test_an_old_python_is_told_in_one_sentence(
    version: tuple[int, int, int, str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sentence names the version that is needed and the one that was found."""
    code = compile(SOURCE.read_text(), str(SOURCE), "exec")
    monkeypatch.setattr(sys, "version_info", version)
    with pytest.raises(SystemExit) as stop:
        exec(code, {"__name__": "run", "__file__": str(SOURCE)})
    monkeypatch.undo()
    assert stop.value.code == "smtp-pair needs Python 3.11 or later, and this is Python {}.{}.".format(*version)


def test_nothing_is_imported_before_the_version_is_known() -> None:
    """Only `sys` comes before the check, so an old Python fails on nothing else."""
    _, first, check, *_ = ast.parse(SOURCE.read_text()).body
    assert ast.unparse(first) == "import sys"
    assert ast.unparse(check).startswith("if sys.version_info < (3, 11):")


def test_the_file_holds_no_syntax_that_python_2_cannot_read() -> None:
    """f-strings, annotations, unpacking and the like would end in a SyntaxError instead of the sentence."""
    tree = ast.parse(SOURCE.read_bytes().decode("ascii"))
    newer = (ast.JoinedStr, ast.AnnAssign, ast.NamedExpr, ast.Nonlocal, ast.Starred, ast.YieldFrom)
    for node in ast.walk(tree):
        assert not isinstance(node, newer), ast.unparse(node)
        if isinstance(node, ast.FunctionDef):
            assert node.returns is None
            assert not node.args.kwonlyargs
            assert not any(argument.annotation for argument in node.args.args)
        if isinstance(node, ast.Raise):
            assert node.cause is None


def test_arguments_after_test_go_to_pytest() -> None:
    """`python3 run.py test -k forward` is `tox run -e py -- -k forward`, with the development group in .venv."""
    need, command = run.plan(["test", "-k", "forward", "--", "-x"])
    assert need == "dev"
    assert command[0] == run.program("tox")
    assert command[-6:] == ["py", "--", "-k", "forward", "--", "-x"]


@pytest.mark.parametrize("words", [["demo"], ["up", "--data", "here"]])
def test_other_commands_go_to_smtp_pair_with_the_runtime_alone(words: list[str]) -> None:
    assert run.plan(words) == ("run", [run.program("smtp-pair"), *words])


def test_check_is_of_the_checkout_and_needs_the_runtime_alone() -> None:
    """harness/ is not in the wheel: run.py starts it as a module, which the editable install lets be found anywhere."""
    words = ["127.0.0.1:25", "--domain", "jaku.com"]
    assert run.plan(["check", *words]) == ("run", [run.program("python"), "-m", "harness.check", *words])
    assert "check HOST:PORT" in run.USAGE


@pytest.mark.parametrize(("words", "code"), [([], 2), (["-k", "forward"], 2), (["--help"], 0)])
def test_without_a_command_the_usage_is_one_line(
    words: list[str], code: int, steps: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is made, and the exit code is 2 unless help was asked for."""
    assert run.main(words) == code
    said = capsys.readouterr()
    assert (said.err if code else said.out) == run.USAGE + "\n"
    assert steps == []


def test_a_second_run_makes_nothing(steps: list[list[str]], capsys: pytest.CaptureFixture[str]) -> None:
    """The first says so in one line and leaves a stamp; the second only reads it."""
    run.prepare("run")
    assert capsys.readouterr().err == "Making .venv (once, about a minute) ...\n"
    assert steps[-1][-3:] == ["-q", "-e", "."]
    steps.clear()
    run.prepare("run")
    assert capsys.readouterr().err == ""
    assert steps == []


def test_what_tests_need_is_added_to_what_demo_made(steps: list[list[str]]) -> None:
    """`test` after `demo` installs the group into the same environment, and `demo` after `test` has all it needs."""
    run.prepare("run")
    steps.clear()
    run.prepare("dev")
    assert [step[-2:] for step in steps] == [["--group", "dev"]]
    steps.clear()
    run.prepare("run")
    assert steps == []


@pytest.mark.parametrize("harm", ["interrupted", "interpreter gone", "settings changed"])
def test_an_environment_that_is_not_whole_is_made_anew(harm: str, checkout: Path, steps: list[list[str]]) -> None:
    """A killed install, a removed Python and a changed pyproject.toml end in a new .venv, without what was in it."""
    run.prepare("dev")
    if harm == "interrupted":
        run.stamp_as("")
    elif harm == "interpreter gone":
        Path(run.program("python")).unlink()
    else:
        (checkout / "pyproject.toml").write_text("[project]\nname = 'other'\n")
    (checkout / ".venv" / "left-over").touch()
    steps.clear()
    run.prepare("run")
    assert not (checkout / ".venv" / "left-over").exists()
    assert any("venv" in step for step in steps)
    assert run.holds() == ["run", "run"]


def test_an_environment_that_run_py_did_not_make_is_left_alone(checkout: Path, steps: list[list[str]]) -> None:
    """Somebody's own .venv is neither removed nor installed into: the sentence says what to do."""
    python = Path(run.program("python"))
    python.parent.mkdir(parents=True)
    python.touch()
    with pytest.raises(SystemExit, match=r"was not made by run\.py; move it away"):
        run.prepare("run")
    assert python.exists()
    assert steps == []


def test_without_ensurepip_the_pip_at_hand_installs(steps: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Debian without python3-venv: the environment is made without pip, and the system's pip puts one there."""
    monkeypatch.setitem(sys.modules, "ensurepip", None)
    monkeypatch.setattr(subprocess, "run", lambda command, **_: subprocess.CompletedProcess(command, 0))
    run.prepare("run")
    assert "--without-pip" in steps[0]
    assert steps[1][1:4] == ["-m", "pip", "--python"]


def test_without_ensurepip_and_pip_the_package_is_named(
    steps: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ensurepip", None)
    monkeypatch.setattr(subprocess, "run", lambda command, **_: subprocess.CompletedProcess(command, 1))
    with pytest.raises(SystemExit, match="apt install python3-venv"):
        run.prepare("run")
    assert run.holds() == []


def test_what_a_step_printed_is_shown_only_when_it_failed(checkout: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """pip's own words, then the command that failed; a step that works is silent."""
    run.quietly([sys.executable, "-c", "print('all well')"])
    assert capfd.readouterr() == ("", "")
    with pytest.raises(SystemExit, match=r"could not make \.venv; this failed: "):
        run.quietly([sys.executable, "-c", "print('no such package'); raise SystemExit(3)"])
    assert capfd.readouterr().err == "no such package\n"
