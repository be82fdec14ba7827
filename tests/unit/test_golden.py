"""Golden mails: what is like one and what is not, how the difference is shown, and how they are written."""

from __future__ import annotations

import smtplib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import smtp_pair
from smtp_pair import MailDiffers, Pair, Server, UnexpectedMail, assert_mail_like
from smtp_pair.golden import UPDATE, match, updated

MAIL = (
    b"Subject: Welcome, Luke\r\nDate: Wed, 25 Nov 2026 01:02:03 +0000\r\n"
    b'Content-Type: multipart/mixed; boundary="b4Xy99"\r\n'
    b"\r\n--b4Xy99\r\n\r\nCome to the dark side.\r\n--b4Xy99--\r\n"
)
BIG = bytes(1 << 20)
GOLDEN = """\
Subject: Welcome, {*}
Date: {*}
Content-Type: multipart/mixed; boundary="{*boundary}"

--{*boundary}

Come to the dark side.
--{*boundary}--
"""


@pytest.fixture(autouse=True)
def compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs this may be writing golden mails of their own."""
    monkeypatch.delenv(UPDATE, raising=False)


@pytest.mark.parametrize(
    ("golden", "mail", "alike"),
    [
        (["a"], ["a"], True),
        (["a"], ["b"], False),
        (["a"], ["a", ""], False),
        ([], ["a"], False),
        (["{*}"], ["anything"], True),
        (["{*}"], [""], True),
        (["{*}"], ["a", "b"], False),
        (["a{*}z"], ["az"], True),
        (["a{*}z{*}"], ["abczd"], True),
        (["a.c"], ["abc"], False),
        (["{name}"], ["{name}"], True),
        (["{name}"], ["Luke"], False),
        (["{*id}"], [""], False),
        (["{*id}-{*id}"], ["1-1"], True),
        (["{*id}-{*id}"], ["1-2"], False),
        (["{*id}", "{*id}"], ["1", "1"], True),
        (["{*id}", "{*id}"], ["1", "2"], False),
        (["{*id}", "{*other}"], ["1", "1"], True),
        (["{...}"], ["a", "b"], True),
        (["{...}"], [], True),
        (["a", "{...}"], ["a"], True),
        (["a", "{...}", "b"], ["a", "x", "y", "b"], True),
        (["a", "{...}", "b"], ["a", "b", "c"], False),
        (["a", "{...}", "b", "{...}"], ["a", "x", "b", "y"], True),
        (["a", "{...}", "b"], ["a", "b", "b"], True),
        (["{...}", "a"], ["b", "a", "a"], True),
        (["{...}", "b{*x}", "c", "{...}", "{*x}"], ["b1", "d", "b2", "c", "2"], True),
        (["{...}", "id {*x}", "{...}", "end {*x}"], ["id 1", "end 2"], False),
        (["{...}", "id {*x}", "{...}", "end {*x}"], ["id 1", "end 1"], True),
        (["\\{*}"], ["{*}"], True),
        (["\\{*}"], ["x"], False),
        (["\\\\{*}"], ["\\{*}"], True),
        (["\\{...}"], ["{...}"], True),
        (["\\{...}"], ["x"], False),
    ],
)
def test_what_is_like_what(golden: list[str], mail: list[str], alike: bool) -> None:
    assert (match(golden, mail) is not None) == alike


def test_names_are_told() -> None:
    assert match(["{*a} {*b}"], ["1 2 3"]) == {"a": "1", "b": "2 3"}


def test_a_mail_octets_and_a_file(mail_pair: Pair, tmp_path: Path) -> None:
    """All three can be compared, with a file and with a text; of a Mail the content, without our trace fields."""
    golden = tmp_path / "golden.eml"
    golden.write_text(GOLDEN)
    with smtplib.SMTP(mail_pair.jaku.host, mail_pair.jaku.port, local_hostname="client.example") as client:
        client.sendmail("app@example.org", ["vader@deathstar.com"], MAIL)
    mail = mail_pair.deathstar.wait_for(to="vader@deathstar.com")
    file = tmp_path / "mail.eml"
    file.write_bytes(MAIL)
    for one in (mail, MAIL, file):
        for expected in (golden, str(golden), GOLDEN):
            assert_mail_like(one, expected)
    with pytest.raises(MailDiffers, match="Received"):
        assert_mail_like(mail.path, golden)


def test_what_is_no_mail() -> None:
    with pytest.raises(TypeError, match="the path of a file"):
        assert_mail_like("Subject: x", GOLDEN)  # type: ignore[arg-type]


def test_the_difference_is_shown_line_by_line() -> None:
    """Both lines with their numbers, a mark under the first difference, and the lines around; no others."""
    mail = b"".join(b"line %d\r\n" % number for number in range(1, 31)).replace(b"line 20", b"line twenty")
    golden = "".join(f"line {number}\n" for number in range(1, 31))
    with pytest.raises(MailDiffers) as error:
        assert_mail_like(mail, golden)
    assert str(error.value).splitlines() == [
        "the mail is not like the golden text:",
        "     18 line 18",
        "     19 line 19",
        "-    20 line 20",
        "+    20 line twenty",
        "             ^",
        "     21 line 21",
        "     22 line 22",
    ]


@pytest.mark.parametrize(
    ("golden", "mail", "told"),
    [
        ("a\nb\nc\n", "a\nc\n", ["-     2 b"]),
        ("a\nc\n", "a\nb\nc\n", ["+     2 b"]),
        ("a\n{...}\nz\n", "a\nb\nc\ny\n", ["-     3 z"]),
        ("Date: {*}\nx\n", "Date: today\ny\n", ["-     2 x", "+     2 y"]),
        ("a {*id}\nb\nc {*id}\n", "a 1\nb\nc 2\n", ["-     3 c {*id}", "+     3 c 2", "        {*id} is 1"]),
        ("a\n", "a \n", ["-     1 a", "+     1 a $", "         ^"]),
        ("a\nb\n", "a\rb\nb\n", ["-     1 a", "+     1 a\\rb", "         ^"]),
        ("a\n\n", "a\n\xff\n", ["-     2 ", "+     2 \\udcff", "        ^"]),
    ],
)
def test_differences_of_all_kinds(golden: str, mail: str, told: list[str]) -> None:
    with pytest.raises(MailDiffers) as error:
        assert_mail_like(mail.encode("latin-1"), golden)
    lines = str(error.value).splitlines()
    assert [line for line in told if line not in lines] == [], error.value


def test_a_long_difference_is_cut() -> None:
    with pytest.raises(MailDiffers) as error:
        assert_mail_like(b"x" * 10_000 + b"\n" + b"a\n" * 1000, "y\n" * 1000)
    text = str(error.value)
    assert "lines more" in text
    assert len(text) < 10_000


def test_an_attachment_of_megabytes_takes_a_moment(tmp_path: Path) -> None:
    """Thousands of lines that are alike, and one that is not."""
    lines = [f"{number:060}" for number in range(20_000)]
    golden = ["Date: {*}", *lines, "{...}", "end"]
    mail = ["Date: x", *lines, "more", "end"]
    assert match(golden, mail) is not None
    with pytest.raises(MailDiffers, match="the end"):
        assert_mail_like("\n".join([*mail[:-1], "the end"]).encode(), "\n".join(golden))


# -- nothing else ----------------------------------------------------------------------------------------------------


def test_nothing_else_was_delivered(mail_pair: Pair) -> None:
    """One mail for both domains is one mail; a network comes to rest before it is looked at."""
    mail_pair.jaku.send(["obiwan@jaku.com", "vader@deathstar.com"], subject="Only this", sender="luke@jaku.com")
    mail = mail_pair.jaku.wait_for(subject="Only this")
    assert_mail_like(mail, "{...}\nSubject: Only this\n{...}\n", nothing_else_in=mail_pair)
    assert_mail_like(mail.content, "{...}\nSubject: Only this\n{...}\n", nothing_else_in=mail_pair.deathstar)


@pytest.mark.parametrize("where", ["jaku", "pair"])
@pytest.mark.parametrize("subject", ["Another", "Only this"])
def test_something_else_was_delivered(mail_pair: Pair, where: str, subject: str) -> None:
    """Another mail, or the same one again, is named."""
    mail_pair.jaku.send("obiwan@jaku.com", subject="Only this", sender="luke@jaku.com")
    [mail] = mail_pair.jaku.messages
    with smtplib.SMTP(mail_pair.jaku.host, mail_pair.jaku.port, local_hostname="client.example") as client:
        client.sendmail("luke@jaku.com", ["obiwan@jaku.com"], mail.content.replace(b"Only this", subject.encode()))
    watched: Server | Pair = mail_pair if where == "pair" else mail_pair.jaku
    with pytest.raises(UnexpectedMail, match=f"(?s)nothing else.*<Mail '{subject}' from <luke@jaku.com>"):
        assert_mail_like(mail, "{...}\nSubject: Only this\n{...}\n", nothing_else_in=watched)


def test_a_network_comes_to_rest_first(mail_pair: Pair) -> None:
    """What is still on its way is something else too."""
    mail_pair.jaku.send("obiwan@jaku.com", subject="Only this", sender="luke@jaku.com")
    [mail] = mail_pair.jaku.messages
    mail_pair.jaku.send("vader@deathstar.com", subject="On its way", sender="luke@jaku.com", attachments={"a": BIG})
    with pytest.raises(UnexpectedMail, match="On its way"):
        assert_mail_like(mail, "{...}\nSubject: Only this\n{...}\n", nothing_else_in=mail_pair)


# -- writing them ----------------------------------------------------------------------------------------------------


def test_without_a_file_it_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(MailDiffers, match=f"there is no golden file .*new.eml; with {UPDATE}=1"):
        assert_mail_like(MAIL, tmp_path / "new.eml")
    assert not (tmp_path / "new.eml").exists()


@pytest.mark.parametrize("value", ["", "0"])
def test_nothing_is_written_unless_told(value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(UPDATE, value)
    with pytest.raises(MailDiffers):
        assert_mail_like(MAIL, tmp_path / "new.eml")


def test_a_new_file_has_wildcards_for_what_is_never_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dates, ids and boundaries; in the header alone what is called Date."""
    monkeypatch.setenv(UPDATE, "1")
    path = tmp_path / "golden" / "new.eml"
    assert_mail_like(MAIL.replace(b"Come to", b"Date: today\r\n\r\nCome to"), path)
    written = GOLDEN.replace("{*}", "Luke", 1).replace("Come to", "Date: today\n\nCome to")
    assert path.read_text() == written
    monkeypatch.delenv(UPDATE)
    assert_mail_like(MAIL.replace(b"Come to", b"Date: today\r\n\r\nCome to").replace(b"b4Xy99", b"another1"), path)


def test_an_update_keeps_what_is_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wildcards and gaps of lines that are still right stay; the others are written anew; a right file is not
    touched."""
    path = tmp_path / "golden.eml"
    path.write_text(GOLDEN)
    before = path.stat().st_mtime_ns
    monkeypatch.setenv(UPDATE, "1")
    assert_mail_like(MAIL, path)
    assert path.stat().st_mtime_ns == before
    assert_mail_like(MAIL.replace(b"dark", b"bright"), path)
    assert path.read_text() == GOLDEN.replace("dark", "bright")


def test_what_looks_like_a_wildcard_is_written_as_itself() -> None:
    """Else it would stand for anything."""
    assert updated([], ["{*}", "{*a} {*", "{...}", "\\{*}"]) == ["\\{*}", "\\{*a} \\{*", "\\{...}", "\\\\{*}"]


def test_a_gap_stays() -> None:
    assert updated(["a", "{...}", "z"], ["a", "b", "c", "y"]) == ["a", "{...}", "y"]


lines = st.lists(
    st.text(st.sampled_from("ab{*}.\\ \u2620"), max_size=6) | st.sampled_from(["{...}", "{*}"]), max_size=8
)


@given(lines)
def test_whatever_is_written_is_like_the_mail(mail: list[str]) -> None:
    """A mail may hold what looks like a wildcard: written down, it means itself."""
    assert match(updated([], mail), mail) is not None


@given(lines, lines)
def test_whatever_is_updated_is_like_the_mail(golden: list[str], mail: list[str]) -> None:
    assert match(updated(golden, mail), mail) is not None


@given(lines, lines)
def test_a_difference_is_always_shown(golden: list[str], mail: list[str]) -> None:
    """Whatever is not like it: something is told, and what is alike tells nothing to the user."""
    text = "\n".join(mail).encode()
    if match(golden, "\n".join(mail).split("\n")) is None and len(golden) > 1:
        with pytest.raises(MailDiffers) as error:
            assert_mail_like(text, "\n".join(golden) + "\n")
        assert len(str(error.value).splitlines()) > 1


def test_it_is_public() -> None:
    assert "assert_mail_like" in smtp_pair.__all__
