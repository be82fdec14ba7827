"""The mechanisms of AUTH, without a wire (RFC 4616, RFC 7628)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtp_pair.sasl import MECHANISMS, PASSWORD_MECHANISMS, TOKEN_MECHANISMS, Credentials, SaslError, passwords

texts = st.text(st.characters(exclude_characters="\0\x01", exclude_categories=["Cs"]), min_size=1)


def said(mechanism: str, *responses: bytes) -> bytes | Credentials:
    """What the exchange comes to; the first response comes with the command."""
    exchange = MECHANISMS[mechanism]()
    answer = exchange.begin(responses[0])
    for response in responses[1:]:
        answer = exchange.step(response)
    return answer


@given(texts, texts, st.just("") | texts)
def test_plain(user: str, secret: str, acting_as: str) -> None:
    """Any name, password and authorisation identity without NUL; an identity that is the name itself is none."""
    found = said("PLAIN", f"{acting_as}\0{user}\0{secret}".encode())
    assert found == Credentials("PLAIN", user, secret, acting_as if acting_as != user else "")


@given(texts, texts)
def test_login(user: str, secret: str) -> None:
    """Name and password, each as a whole response."""
    assert said("LOGIN", user.encode(), secret.encode()) == Credentials("LOGIN", user, secret)


@given(texts, st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1))
def test_oauthbearer(user: str, token: str) -> None:
    """A name in which , and = are written =2C and =3D (RFC 5801 4), and the token among other pairs."""
    coded = user.replace("=", "=3D").replace(",", "=2C")
    response = f"n,a={coded},\x01host=jaku.com\x01auth=Bearer {token}\x01port=25\x01\x01"
    assert said("OAUTHBEARER", response.encode()) == Credentials("OAUTHBEARER", user, token)


@given(texts, st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1))
def test_xoauth2(user: str, token: str) -> None:
    """As Google and Microsoft document it; the scheme in any case."""
    assert said("XOAUTH2", f"user={user}\x01auth=bEARER {token}\x01\x01".encode()) == Credentials(
        "XOAUTH2", user, token
    )


@pytest.mark.parametrize("header", ["n,,", "y,,", "n,a=,"])
def test_oauthbearer_without_a_name(header: str) -> None:
    """The token may say it all: then the name is empty."""
    assert said("OAUTHBEARER", f"{header}\x01auth=Bearer x\x01\x01".encode()) == Credentials("OAUTHBEARER", "", "x")


@pytest.mark.parametrize("mechanism", TOKEN_MECHANISMS)
@pytest.mark.parametrize("auth", ["auth=", "auth=Bearer", "auth=Bearer "])
def test_a_token_that_is_left_out(mechanism: str, auth: str) -> None:
    """Is an empty one, which no callback is asked about: the client wants to be told what is needed (RFC 7628 4.3)."""
    header = {"OAUTHBEARER": "n,a=luke,", "XOAUTH2": "user=luke"}[mechanism]
    assert said(mechanism, f"{header}\x01{auth}\x01\x01".encode()) == Credentials(mechanism, "luke", "")
    assert MECHANISMS[mechanism]().refusal.startswith(b'{"status"')


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_without_a_first_response(mechanism: str) -> None:
    """The first challenge is empty, but LOGIN's."""
    assert MECHANISMS[mechanism]().begin(None) == (b"Username:" if mechanism == "LOGIN" else b"")


@pytest.mark.parametrize("mechanism", MECHANISMS)
@given(
    response=st.binary(max_size=60)
    | st.lists(st.sampled_from([b"\0", b"\x01", b"=", b"user=", b"n,", b",", b"auth=", b"Bearer ", b"x", b"\xff"])).map(
        b"".join
    )
)
def test_any_response_is_credentials_or_a_sasl_error(mechanism: str, response: bytes) -> None:
    """Nothing else is ever raised, whatever the octets."""
    exchange = MECHANISMS[mechanism]()
    try:
        answer = exchange.begin(response)
        if isinstance(answer, bytes):
            answer = exchange.step(response)
    except SaslError:
        return
    assert isinstance(answer, Credentials)


KNOWS = passwords({"luke": "f0rce", "leia": "o\u0308rgana"})


@pytest.mark.parametrize(
    ("credentials", "right"),
    [
        (Credentials("PLAIN", "luke", "f0rce"), True),
        (Credentials("LOGIN", "leia", "o\u0308rgana"), True),
        (Credentials("PLAIN", "luke", "f0rce", "luke"), True),
        (Credentials("PLAIN", "luke", "f0rce", "leia"), False),
        (Credentials("PLAIN", "luke", "f0rc"), False),
        (Credentials("PLAIN", "luke", "f0rcee"), False),
        (Credentials("PLAIN", "luke", ""), False),
        (Credentials("PLAIN", "LUKE", "f0rce"), False),
        (Credentials("PLAIN", "vader", "f0rce"), False),
        (Credentials("PLAIN", "vader", ""), False),
        (Credentials("PLAIN", "", ""), False),
        (Credentials("PLAIN", "leia", "\u00f6rgana"), False),
    ],
)
def test_passwords(credentials: Credentials, right: bool) -> None:
    """The name and the password, octet for octet; nobody acts as another; an unknown name has no password, not an
    empty one."""
    assert KNOWS(credentials) is right


def test_what_is_offered() -> None:
    """Passwords need PLAIN and LOGIN; no mechanism is both kinds."""
    assert list(PASSWORD_MECHANISMS) == ["PLAIN", "LOGIN"]
    assert list(TOKEN_MECHANISMS) == ["OAUTHBEARER", "XOAUTH2"]
    assert list(MECHANISMS) == [*PASSWORD_MECHANISMS, *TOKEN_MECHANISMS]


def test_a_secret_is_not_shown() -> None:
    """Credentials come into logs and failing tests."""
    assert "f0rce" not in repr(Credentials("PLAIN", "luke", "f0rce"))
