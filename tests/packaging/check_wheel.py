"""Prove the built wheel as a user meets it: `tox run -e wheel`.

Builds the sdist and from it the wheel, looks at what is in them, installs the wheel in a new environment in a temporary
folder outside the checkout, copies `user_project` beside it and runs its tests, its type check and the commands there.
Arguments are passed on to the user's pytest.
"""

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parent.parent

IN_THE_WHEEL = {"smtp_pair/__init__.py", "smtp_pair/py.typed", "smtp_pair/pytest_plugin.py"}
IN_THE_SDIST = {
    ".ci/run",
    "LICENSE",
    "README.md",
    "conftest.py",
    "pyproject.toml",
    "run.py",
    "tests/packaging/check_wheel.py",
    "tox.ini",
}


def step(*command: str | Path, cwd: Path) -> None:
    """Run a command without anything that could lead back to the checkout; end with its exit code when it fails."""
    print("$", *command, flush=True)
    leading_back = ("PYTHON", "PYTEST", "TOX")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(leading_back)}
    environment.pop("VIRTUAL_ENV", None)
    environment["SMTP_PAIR_CHECKOUT"] = str(CHECKOUT)
    done = subprocess.run(command, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        sys.exit(done.returncode)


def check_content(sdist: Path, wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert names >= IN_THE_WHEEL, f"not in the wheel: {sorted(IN_THE_WHEEL - names)}"
    top = {name.split("/")[0] for name in names}
    assert {name for name in top if not name.endswith(".dist-info")} == {"smtp_pair"}, f"in the wheel: {sorted(top)}"
    samples = {Path(name).suffix for name in names if name.startswith("smtp_pair/clients/samples/")}
    assert samples >= {".jpeg", ".txt", ".gif"}, f"samples in the wheel: {sorted(samples)}"

    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert names >= IN_THE_SDIST, f"not in the sdist: {sorted(IN_THE_SDIST - names)}"
    assert any(name.startswith("harness/") for name in names), "harness is not in the sdist"
    assert not any(name.startswith((".venv", ".tox", ".git/")) for name in names), "the sdist holds an environment"


def main(arguments: list[str]) -> None:
    with tempfile.TemporaryDirectory(prefix="smtp-pair-wheel-") as folder:
        away = Path(folder).resolve()
        assert not away.is_relative_to(CHECKOUT), f"{away} is inside the checkout"

        step(sys.executable, "-m", "build", "--outdir", away / "dist", CHECKOUT, cwd=away)
        (sdist,) = away.glob("dist/*.tar.gz")
        (wheel,) = away.glob("dist/*.whl")
        check_content(sdist, wheel)

        environment = away / "environment"
        programs = environment / ("Scripts" if os.name == "nt" else "bin")
        step(sys.executable, "-m", "virtualenv", "-q", environment, cwd=away)
        step(programs / "python", "-m", "pip", "install", "-q", f"{wheel}[pytest]", cwd=away)
        step(programs / "python", "-m", "pip", "check", cwd=away)

        project = Path(shutil.copytree(HERE / "user_project", away / "user_project"))
        step(sys.executable, "-m", "mypy", "--strict", "--python-executable", programs / "python", ".", cwd=project)
        step(programs / "smtp-pair", "--version", cwd=project)
        step(programs / "python", "-m", "smtp_pair", "--version", cwd=project)
        step(programs / "smtp-pair", "demo", cwd=project)
        step(programs / "pytest", "-ra", "-W", "error", *arguments, cwd=project)


if __name__ == "__main__":
    main(sys.argv[1:])
