"""The configuration file: what it gives, and that an error names the file, the line and the key at fault."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtp_pair import config_file
from smtp_pair.config import Config, Domain, Limits, Retry
from smtp_pair.mail.errors import ConfigError
from smtp_pair.routes import NO_MAIL, NextHop


def loaded(folder: Path, text: str) -> Config:
    path = folder / "pair.toml"
    path.write_text(text, encoding="utf-8")
    return config_file.load(path)


def test_a_whole_file(tmp_path: Path) -> None:
    """Any number of domains, each with its settings, and routes beside them."""
    config = loaded(
        tmp_path,
        """
        # three worlds
        [[domain]]
        name = "jaku.com"
        port = 1025
        users = ["obiwan"]
        size = "1 MB"
        retry = { first = "1 s", factor = 2, most = "30 min", expiry = "5 d" }

        [[domain]]
        name = "deathstar.com"
        unreachable = "ignore"
        [domain.limits]
        idle = "1 min"

        [routes]
        "third.test" = "127.0.0.1:2525"
        "fourth.test" = "[::1]:2525"
        "none.test" = "."
        """,
    )
    assert config.domains == (
        Domain("jaku.com", port=1025, users=("obiwan",), size=1_000_000, retry=Retry(1, most=1800, expiry=432_000)),
        Domain("deathstar.com", unreachable="ignore", limits=Limits(idle=60)),
    )
    assert config.routes == {
        "third.test": NextHop("127.0.0.1", 2525),
        "fourth.test": NextHop("::1", 2525),
        "none.test": NO_MAIL,
    }


def test_mail_beyond_this_machine_is_asked_for(tmp_path: Path) -> None:
    """A route to elsewhere is refused, unless the file says that it is meant."""
    text = '[[domain]]\nname = "a.test"\n[routes]\n"b.test" = "mx.example.org:25"\n'
    with pytest.raises(ConfigError, match=r"pair.toml:4: routes.b.test: 'mx.example.org' is not on this machine"):
        loaded(tmp_path, text)
    assert loaded(tmp_path, f"allow_remote = true\n{text}").routes == {"b.test": NextHop("mx.example.org", 25)}


def test_a_name_server(tmp_path: Path) -> None:
    """`dns` names the server that knows the way to all other domains; one elsewhere wants the same permission."""
    text = '[[domain]]\nname = "a.test"\n'
    assert loaded(tmp_path, text).dns == ""
    assert loaded(tmp_path, f'dns = "127.0.0.1:5353"\n{text}').dns == "127.0.0.1:5353"
    assert loaded(tmp_path, f'dns = "192.0.2.1:53"\nallow_remote = true\n{text}').allow_remote


WRONG = [
    # line, what is said, the file
    (None, "domain: there is no", ""),
    (1, "domain: there is no", "domain = 7"),
    (1, "domain: there is no", "domain = []"),
    (2, "domain: there is no", "\n[domain]\nname = 'a.test'"),
    (1, "domain: there is no", "domain = [7]"),
    (1, "name: a [[domain]] needs one", "[[domain]]\nport = 1"),
    (3, "name: a [[domain]] needs one", "[[domain]]\nname = 'a.test'\n[[domain]]\nport = 1"),
    (2, "name: 'a b' is not", "[[domain]]\nname = 'a b'"),
    (2, "name: 7 is not", "[[ domain ]]\n  name=7"),
    (4, "port: 70000 is not", "[[domain]]\nname = 'a.test'\n# port = 1\nport = 70000"),
    (4, "port: 'x' is not", "[[domain]]\nname = 'a.test' # port\nhostname = 'port.test'\n'port' = 'x'"),
    (4, "name: 'b c' is not", "[[domain]]\nname = 'a.test'\n[[domain]]\n\"name\" = 'b c'"),
    (4, "name: 'a.test' is given to two", "[[domain]]\nname = 'a.test'\n[[domain]]\nname = 'a.test'"),
    (3, "prot: unknown; known are name", "[[domain]]\nname = 'a.test'\nprot = 1"),
    (
        1,
        "hostname: ",
        "[[domain]]\nname = '" + ".".join(["d" * 50] * 5) + "'\n[[domain]]\nname = 'b.test'\nhostname = 'c'",
    ),
    (3, "limits.idle: 'x'", "[[domain]]\nname = 'a.test'\nlimits = { errors = 3, idle = 'x' }\n[[domain]]\nname = 'b'"),
    (4, "limits.idle: 'x'", "[[domain]]\nname = 'a.test'\n[domain.limits]\nidle = 'x'"),
    (4, "limits.idle: 'x'", "[[domain]]\nname = 'a.test'\n\nlimits.idle = 'x'"),
    (3, "limits.idel: unknown", "[[domain]]\nname = 'a.test'\nlimits = { idel = 1 }"),
    (3, "limits: 7 is not", "[[domain]]\nname = 'a.test'\nlimits = 7"),
    (3, "retry.first: is missing", "[[domain]]\nname = 'a.test'\nretry = { factor = 2 }"),
    (3, "retry: 'soon' is not", "[[domain]]\nname = 'a.test'\nretry = 'soon'"),
    (1, "name: 'a b' is not", "domain = [{ name = 'a b' }]"),
    (1, "servers: unknown; known are", "servers = 1\n[[domain]]\nname = 'a.test'"),
    (3, "server: unknown; known are", "[[domain]]\nname = 'a.test'\n[server]\nname = 'x'"),
    (1, "allow_remote: 'yes' is neither", "allow_remote = 'yes'\n[[domain]]\nname = 'a.test'"),
    (1, "dns: 7 is not HOST:PORT", "dns = 7\n[[domain]]\nname = 'a.test'"),
    (1, "dns: 'x' is not HOST:PORT", "dns = 'x'\n[[domain]]\nname = 'a.test'"),
    (1, "dns: '.' is not HOST:PORT", "dns = '.'\n[[domain]]\nname = 'a.test'"),
    (1, "dns: '192.0.2.1' is not on this machine", "dns = '192.0.2.1:53'\n[[domain]]\nname = 'a.test'"),
    (1, "routes: is not a table", "routes = 7\n[[domain]]\nname = 'a.test'"),
    (4, "routes.b.test: 'x' is not HOST:PORT", "[[domain]]\nname = 'a.test'\n[routes]\n'b.test' = 'x'"),
    (4, "routes.b: ", "[[domain]]\nname = 'a.test'\n[routes]\nb.test = '127.0.0.1:1'"),
    (4, "routes.b c: 'b c' is not a domain", "[[domain]]\nname = 'a.test'\n[routes]\n'b c' = '127.0.0.1:1'"),
    (4, "routes.name: 'x' is not HOST:PORT", "[[domain]]\nname = 'a.test'\n[routes]\nname = 'x'"),
    (1, "routes.b.test: 'x' is not HOST:PORT", "routes = { 'b.test' = 'x' }\n[[domain]]\nname = 'a.test'"),
    (2, "Invalid", "[[domain]]\nname = "),
    (3, "Cannot overwrite a value", "[[domain]]\nname = 'a.test'\nname = 'b.test'"),
    (1, "Expected", "[[domain]"),
    (3, "port: 'x' is not", "# a line\u2028of its own\n[[domain]]\nport = 'x'\nname = 'a.test'"),
]


@pytest.mark.parametrize(("line", "complaint", "text"), WRONG)
def test_an_error_names_the_line_and_the_key(tmp_path: Path, line: int | None, complaint: str, text: str) -> None:
    """One line that begins with the file, and with the number of the line that is to be changed."""
    with pytest.raises(ConfigError) as refused:
        loaded(tmp_path, text)
    where = f"{tmp_path / 'pair.toml'}" + (f":{line}" if line else "")
    assert str(refused.value).startswith(f"{where}: {complaint}")
    assert "\n" not in str(refused.value)


@given(st.integers(0, 4), st.integers(0, 4), st.sampled_from(["port", "size", "users", "durability"]))
def test_the_line_is_right_wherever_it_stands(before: int, at: int, key: str) -> None:
    """Among domains that all have that key, the one at fault is named; whatever stands before it."""
    fine = {"port": "0", "size": "7", "users": "[]", "durability": "'fast'"}[key]
    lines = ["# comment"] * before
    for number in range(5):
        value = "[-1]" if number == at else fine
        lines += ["[[domain]]", f'name = "d{number}.test"', "unreachable = 'ignore'", f"{key} = {value}"]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Path, "read_bytes", lambda _: "\n".join(lines).encode())
        with pytest.raises(ConfigError, match=rf"^pair.toml:{before + 4 * (at + 1)}: {key}: "):
            config_file.load(Path("pair.toml"))


@given(st.text(st.sampled_from("[]{}=.\"'# \nname1a-:,") | st.characters(), max_size=60))
def test_any_file_is_a_configuration_or_a_config_error(text: str) -> None:
    """Whatever is in it: no other exception, and one line."""
    for whole in (text, f"[[domain]]\nname = 'a.test'\n{text}"):
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(Path, "read_bytes", lambda _, whole=whole: whole.encode("utf-8", "surrogatepass"))
            try:
                config_file.load(Path("pair.toml"))
            except ConfigError as error:
                found = str(error)
                assert re.match(r"pair\.toml(:\d+)?: ", found)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """A missing file, a folder, octets that are no UTF-8: the file is named with the reason."""
    path = tmp_path / "pair.toml"
    with pytest.raises(ConfigError, match=f"^{path}: No such file or directory$"):
        config_file.load(path)
    with pytest.raises(ConfigError, match=f"^{tmp_path}: Is a directory$"):
        config_file.load(tmp_path)
    path.write_bytes(b"# \xff\n")
    with pytest.raises(ConfigError, match=f"^{path}: is not UTF-8$"):
        config_file.load(path)


@pytest.mark.parametrize("text", ["port = " + "9" * 5000, "a = " + "[" * 10_000])
def test_toml_that_means_no_good(tmp_path: Path, text: str) -> None:
    """A number of thousands of digits, or a nesting without end, is refused like anything else."""
    with pytest.raises(ConfigError, match="pair.toml"):
        loaded(tmp_path, text)
