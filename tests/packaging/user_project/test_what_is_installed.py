"""What a user has after `pip install smtp-pair`, seen from a project that is nowhere near a checkout."""

import importlib.metadata
import importlib.util
import os
import sys
import sysconfig
from importlib.resources import files
from pathlib import Path

import pytest

import smtp_pair

CHECKOUT = Path(os.environ["SMTP_PAIR_CHECKOUT"])


def test_the_package_comes_from_site_packages() -> None:
    """What is imported is what was installed."""
    assert Path(smtp_pair.__file__).resolve().is_relative_to(Path(sysconfig.get_path("purelib")).resolve())


def test_nothing_comes_from_the_checkout() -> None:
    """Neither the path nor any module that has been imported leads back to where the wheel was built."""
    places = [Path(entry) for entry in sys.path]
    places += [Path(file) for module in list(sys.modules.values()) if (file := getattr(module, "__file__", None))]
    assert [place for place in places if place.resolve().is_relative_to(CHECKOUT)] == []


@pytest.mark.parametrize("name", ["harness", "tests", "conftest", "run"])
def test_the_checkouts_own_tools_are_not_installed(name: str) -> None:
    """A user's own folders of these names are not shadowed."""
    assert importlib.util.find_spec(name) is None


def test_the_plugin_is_registered_once(pytestconfig: pytest.Config) -> None:
    """The entry point's name is the module's path, so that naming the plugin in a conftest adds no second one."""
    manager = pytestconfig.pluginmanager
    plugin = sys.modules["smtp_pair.pytest_plugin"]
    assert [name for name, module in manager.list_name_plugin() if module is plugin] == ["smtp_pair.pytest_plugin"]
    manager.import_plugin("smtp_pair.pytest_plugin")
    assert [name for name, module in manager.list_name_plugin() if module is plugin] == ["smtp_pair.pytest_plugin"]


@pytest.mark.parametrize("kind", ["jpeg", "txt", "gif"])
def test_the_samples_are_there(kind: str) -> None:
    """`smtp-pair send` has its attachments wherever it is installed."""
    samples = [item for item in (files(smtp_pair) / "clients" / "samples").iterdir() if item.name.endswith("." + kind)]
    assert samples
    assert all(sample.read_bytes() for sample in samples)


def test_the_package_says_that_it_is_typed() -> None:
    assert (files(smtp_pair) / "py.typed").is_file()


def test_the_version_is_the_installed_one() -> None:
    assert importlib.metadata.version("smtp-pair") == smtp_pair.__version__
