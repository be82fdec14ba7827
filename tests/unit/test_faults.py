"""Faults as values, in words, and how they are counted: nothing is done to anybody here."""

from __future__ import annotations

import sys
import threading
from typing import Any

import pytest

from smtp_pair import ConfigError, Domain, Reply, config_file, fault_words
from smtp_pair.fault_list import Faults, Moment
from smtp_pair.faults import HIDEABLE, NOISE, Fault, Fired
from smtp_pair.protocol import EXTENSIONS


class Somebody:
    """A session, as far as faults look at it."""


def rcpt(recipient: str = "vader@a.test", session: object = None, **more: Any) -> Moment:
    known = {"sender": "x@y.test", "recipients": [recipient]} | more
    return Moment("RCPT", session or Somebody(), "[127.0.0.1]:1", **known)


def strikes(faults: Faults, moment: Moment) -> list[str]:
    return [one.fault.kind for one in faults.at(moment)]


@pytest.mark.parametrize(
    ("settings", "culprit"),
    [
        ({}, "nothing to do wrong"),
        ({"drop": True, "reset": True}, "drop and reset are two"),
        ({"phase": "HALO", "drop": True}, "phase: 'HALO' is no phase"),
        ({"phase": "RCPT", "reply": "9xx"}, "reply: '9xx'"),
        ({"phase": "RCPT", "reply": "199 no"}, "reply: '199 no'"),
        ({"phase": "RCPT", "reply": "999 no"}, "reply: '999 no'"),
        ({"phase": "RCPT", "reply": "451 5.1.1 no"}, "belong to one class"),
        ({"phase": "RCPT", "reply": 451}, "reply: 451 is no reply"),
        ({"phase": "DATA", "reply": "250 yes"}, "reply: 250 yes is no answer to DATA"),
        ({"phase": "RCPT", "reply": "354 go"}, "is no answer to RCPT"),
        ({"reply": "250 yes"}, "is no answer to any"),
        ({"phase": "connect", "reply": "421 no"}, "nothing is said at connect"),
        ({"phase": "connect", "garbage": True}, "nothing is said at connect; give garbage to the greeting"),
        ({"phase": "RCPT", "delay": -1}, "delay: -1"),
        ({"phase": "RCPT", "delay": "soon"}, "delay: 'soon'"),
        ({"throttle": 0}, "throttle: 0"),
        ({"throttle": 10, "phase": "RCPT"}, "there is no throttle at RCPT"),
        ({"phase": "RCPT", "overlong": 3}, "overlong: 3"),
        ({"phase": "RCPT", "garbage": b""}, "garbage: b''"),
        ({"hide": ["NONE"]}, "hide: 'NONE'"),
        ({"hide": []}, "hide: no extension is named"),
        ({"hide": ["SIZE"], "phase": "RCPT"}, "phase: hide has its own place"),
        ({"tls": "bad"}, "tls: 'bad'"),
        ({"store": "gone"}, "store: 'gone'"),
        ({"drop": "yes"}, "drop: 'yes'"),
        ({"phase": "RCPT", "after": "DATA", "drop": True}, "after: there is a phase"),
        ({"after": "DATA", "reply": "451"}, "after: there is no reply after DATA"),
        ({"after": "accepted", "drop": True}, "after: there is no drop after accepted"),
        ({"phase": "accepted", "reply": "451"}, "phase: the mail is taken at accepted; give reply to the dot"),
        ({"phase": "accepted", "overlong": 600}, "give overlong to the dot"),
        ({"after": "DATA", "bytes": -1, "drop": True}, "bytes: -1"),
        ({"phase": "RCPT", "bytes": 5, "drop": True}, "bytes: they are counted after something"),
        ({"phase": "EHLO", "drop": True, "to": "a@b"}, "to: no recipient is known at EHLO"),
        ({"phase": "EHLO", "drop": True, "sender": "a@b"}, "sender: no sender is known at EHLO"),
        ({"phase": "RCPT", "drop": True, "times": 0}, "times: 0"),
        ({"phase": "RCPT", "drop": True, "nth": 1.5}, "nth: 1.5"),
        ({"phase": "RCPT", "drop": True, "to": 3}, "to: 3"),
        ({"phase": "RCPT", "drop": True, "to": "vader"}, "to: 'vader' is no address; did you mean 'vader@*'?"),
        ({"phase": "RCPT", "drop": True, "to": ""}, "to: ''"),
        ({"phase": "RCPT", "drop": True, "sender": "luke"}, "sender: 'luke' is no address"),
        ({"phase": "RCPT", "drop": True, "client": ""}, "client: ''"),
        ({"phase": "RCPT", "drop": True, "session": True}, "session: True"),
        ({"phase": "RCPT", "drop": True, "probability": 2}, "probability: 2"),
        ({"down": True, "times": 2}, "times: a server is down for all"),
    ],
)
def test_what_can_not_be_is_refused_by_name(settings: dict[str, Any], culprit: str) -> None:
    """When it is given, not when it would come to pass."""
    with pytest.raises(ConfigError) as refused:
        Fault(**settings)
    assert culprit in str(refused.value)


def test_a_reply_is_completed() -> None:
    """A code alone is enough; the enhanced code is one of its class."""
    said = Fault(phase="RCPT", reply="451").reply
    assert isinstance(said, Reply) and (said.code, said.enhanced) == (451, "4.3.0") and said.text
    assert str(Fault(phase="RCPT", reply="550 5.7.1 go away").reply) == "550 5.7.1 go away"
    assert str(Fault(phase="RCPT", reply="250 2.1.5 welcome").reply) == "250 2.1.5 welcome"


def test_what_can_be_hidden_is_what_is_offered() -> None:
    assert set(HIDEABLE) == {*EXTENSIONS, "SIZE", "STARTTLS", "AUTH"}


# -- in words ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        ('RCPT reject "451 4.3.0" times=2 to=vader@*', Fault(phase="RCPT", reply="451 4.3.0", times=2, to="vader@*")),
        ("rcpt REJECT 550", Fault(phase="RCPT", reply="550")),
        ("after DATA drop bytes=100", Fault(after="DATA", bytes=100, drop=True)),
        ("drop bytes=100", Fault(bytes=100, drop=True)),
        ("accepted drop times=1 to=vader@*", Fault(phase="accepted", drop=True, times=1, to="vader@*")),
        ("body stall bytes=7 nth=2", Fault(phase="body", bytes=7, stall=True, nth=2)),
        ('"final dot" half-close session=1', Fault(phase="dot", half_close=True, session=1)),
        ("hide PIPELINING,SIZE", Fault(hide=["PIPELINING", "SIZE"])),
        ("hide PIPELINING SIZE", Fault(hide=["PIPELINING", "SIZE"])),
        ('DATA delay "200 ms" probability=0.5', Fault(phase="DATA", delay=0.2, probability=0.5)),
        ("throttle 1024", Fault(throttle=1024)),
        ("EHLO garbage", Fault(phase="EHLO", garbage=NOISE)),
        ("EHLO overlong", Fault(phase="EHLO", overlong=10_000)),
        ('tls "wrong host"', Fault(tls="wrong host")),
        ("store full sender=*@b.test", Fault(store="full", sender="*@b.test")),
        ("connect reset client=127.*", Fault(phase="connect", reset=True, client="127.*")),
        ("down", Fault(down=True)),
    ],
)
def test_words_of_a_command_line(words: str, fault: Fault) -> None:
    """They say a fault, and a fault says them."""
    assert fault_words.parse(words) == fault
    if fault.garbage is None:
        assert fault_words.parse(str(fault)) == fault


@pytest.mark.parametrize(
    ("words", "culprit"),
    [
        ("", "nothing to do wrong"),
        ("RCPT", "nothing to do wrong"),
        ("RCPT frobnicate", "'frobnicate'"),
        ("RCPT reject", "reject: needs a value"),
        ("RCPT reject 250", "reply: 250"),
        ("RCPT drop now", "drop: takes no value, not 'now'"),
        ("RCPT drop times=x", "times: 'x'"),
        ("RCPT drop often=2", "often: unknown"),
        ('RCPT reject "451', "No closing quotation"),
        ("after", "after: what?"),
    ],
)
def test_words_that_say_nothing(words: str, culprit: str) -> None:
    with pytest.raises(ConfigError) as refused:
        fault_words.parse(words)
    assert culprit in str(refused.value) and repr(words) in str(refused.value)


def test_words_may_name_a_domain() -> None:
    assert fault_words.parse_for_domain("domain=b.test down") == ("b.test", Fault(down=True))
    assert fault_words.parse_for_domain("down") == (None, Fault(down=True))


def test_words_for_another_domain() -> None:
    """A server takes the words that name it, by either name, and not those for another: that fault would be at the
    wrong server."""
    faults = Faults("smtp.b.test", "b.test")
    faults.add("domain=B.test RCPT drop", "domain=smtp.b.test MAIL drop")
    with pytest.raises(ConfigError, match="these are the faults of b.test, not of c.test"):
        faults.add("domain=c.test down")
    assert [fault.phase for fault in faults] == ["RCPT", "MAIL"]


def test_what_was_given_says_what_it_is() -> None:
    """In a debugger, or printed: the fault, and how often it came to pass."""
    given = Faults("a.test").reject("RCPT", "451 4.3.0 no", times=2, sender="")
    assert repr(given) == '<Given RCPT reply "451 4.3.0 no" times=2 sender=, fired 0 times>'


def test_what_came_to_pass_names_its_place_once() -> None:
    """With ``any``, which place it was."""
    assert str(Fired(Fault(phase="RCPT", drop=True), "RCPT", "[::1]:1")) == "RCPT drop"
    assert str(Fired(Fault(drop=True), "RCPT", "[::1]:1")) == "RCPT: any drop"


@pytest.mark.parametrize(
    ("address", "phase", "code"),
    [
        ("rcptto451@a.test", "RCPT", 451),
        ("luke+rcptto550@a.test", "RCPT", 550),
        ("RcptTo_temperror@a.test", "RCPT", 451),
        ("rcpttopermerror@a.test", "RCPT", 550),
        ("mailfrom421@a.test", "MAIL", 421),
        ("451@a.test", "dot", 451),
        ("luke+permerror@a.test", "dot", 550),
    ],
)
def test_addresses_ask_for_faults(address: str, phase: str, code: int) -> None:
    """As those of mox's localserve do: in that place alone."""
    asked = {place: fault_words.asked_for(place, address, [address]) for place in ("MAIL", "RCPT", "DATA", "dot")}
    fault = asked.pop(phase)
    assert fault is not None and isinstance(fault.reply, Reply) and fault.reply.code == code
    assert set(asked.values()) == {None}


@pytest.mark.parametrize(
    "address", ["luke@a.test", "luke451x@a.test", "351@a.test", "luke+45@a.test", "451+luke@a.test"]
)
def test_other_addresses_ask_for_nothing(address: str) -> None:
    for place in ("MAIL", "RCPT", "dot"):
        assert fault_words.asked_for(place, address, [address]) is None


# -- in a configuration ------------------------------------------------------------------------------------------------

TOML = """
[[domain]]
name = "a.test"
[[domain.fault]]
phase = "RCPT"
reply = "451 4.3.0"
times = 2
to = "vader@*"
[[domain.fault]]
after = "DATA"
bytes = 100
drop = true

[[domain]]
name = "b.test"
fault_addresses = true
[[domain.fault]]
hide = ["SIZE"]
"""


def test_a_file_has_them(tmp_path: Any) -> None:
    """The same names as in Python."""
    path = tmp_path / "mail.toml"
    path.write_text(TOML)
    first, second = config_file.load(path).domains
    assert first.faults == (
        Fault(phase="RCPT", reply="451 4.3.0", times=2, to="vader@*"),
        Fault(after="DATA", bytes=100, drop=True),
    )
    assert (second.faults, first.fault_addresses, second.fault_addresses) == ((Fault(hide=["SIZE"]),), False, True)


@pytest.mark.parametrize(
    ("line", "broken", "said"),
    [
        (6, 'reply = "951"', "fault.reply: '951'"),
        (8, "to = 7", "fault.to: 7"),
        (11, "bytes = -1", "fault.bytes: -1"),
        (18, 'hide = ["SIZES"]', "fault.hide: 'SIZES'"),
        (18, "hides = 3", "fault.hides: unknown"),
    ],
)
def test_a_file_is_told_its_line(tmp_path: Any, line: int, broken: str, said: str) -> None:
    lines = TOML.split("\n")
    lines[line - 1] = broken
    path = tmp_path / "mail.toml"
    path.write_text("\n".join(lines))
    with pytest.raises(ConfigError) as refused:
        config_file.load(path)
    assert str(refused.value).startswith(f"{path}:{line}: {said}")


def test_a_file_is_told_where_nothing_is_to_go_wrong(tmp_path: Any) -> None:
    """Which table it is; there is no key to name."""
    path = tmp_path / "mail.toml"
    path.write_text(TOML.replace('reply = "451 4.3.0"\n', ""))
    with pytest.raises(ConfigError) as refused:
        config_file.load(path)
    assert str(refused.value).startswith(f"{path}:4: fault: nothing to do wrong is given; it needs one of reply, ")


def test_a_domain_checks_them() -> None:
    for wrong in ([3], "RCPT drop", 3):
        with pytest.raises(ConfigError, match="faults: "):
            Domain("a.test", faults=wrong)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="faults: tls: there is none to break"):
        Domain("a.test", faults=[Fault(tls="expired")])
    with pytest.raises(ConfigError, match="offers no TLS that could be broken"):
        Faults("a.test").tls("expired")


# -- counted -----------------------------------------------------------------------------------------------------------


def test_the_first_n_and_the_nth() -> None:
    """``times``: the first n, then success. ``nth``: that one alone."""
    faults = Faults("a.test")
    faults.drop("RCPT", times=2)
    assert [strikes(faults, rcpt()) for _ in range(3)] == [["drop"], ["drop"], []]
    faults.clear()
    given = faults.drop("RCPT", nth=2)
    assert [strikes(faults, rcpt()) for _ in range(3)] == [[], ["drop"], []]
    assert given.fired == 1


def test_for_whom() -> None:
    faults = Faults("a.test")
    faults.drop("RCPT", to="vader@*", sender="*@Y.test", client="*.example")
    assert strikes(faults, rcpt(helo="c.example"))
    assert not strikes(faults, rcpt("luke@a.test", helo="c.example"))
    assert not strikes(faults, rcpt(helo="c.example", sender="x@z.test"))
    assert not strikes(faults, rcpt(helo="c.other"))
    faults.clear()
    faults.drop("RCPT", client="127.*")
    assert strikes(faults, rcpt())


def test_one_session() -> None:
    """The nth that comes to the place; all of it."""
    faults = Faults("a.test")
    faults.drop("RCPT", session=2)
    first, second, third = Somebody(), Somebody(), Somebody()
    said = [bool(strikes(faults, rcpt(session=one))) for one in (first, second, first, second, third)]
    assert said == [False, True, False, True, False]


def test_chance_repeats_with_its_seed() -> None:
    """Whatever other faults draw meanwhile."""

    def drawn(seed: int | None, *, others: bool = False) -> list[bool]:
        faults = Faults("a.test", seed=seed)
        faults.drop("RCPT", probability=0.5)
        if others:
            faults.delay("RCPT", 0, probability=0.5)
        return ["drop" in strikes(faults, rcpt()) for _ in range(64)]

    assert drawn(1) == drawn(1) == drawn(1, others=True)
    assert drawn(1) != drawn(2)
    assert 10 < sum(drawn(3)) < 54
    never, always = Faults("a.test"), Faults("a.test")
    never.drop("RCPT", probability=0)
    always.drop("RCPT", probability=1)
    assert not any(strikes(never, rcpt()) for _ in range(50))
    assert all(strikes(always, rcpt()) for _ in range(50))


def test_several_compose() -> None:
    """All that hinders, and the first that decides; the second decides when the first is used up."""
    faults = Faults("a.test")
    faults.delay("RCPT", 0)
    faults.reject("RCPT", "451", times=1)
    later = faults.drop("RCPT")
    assert strikes(faults, rcpt()) == ["delay", "reply"]
    assert later.fired == 0
    assert strikes(faults, rcpt()) == ["delay", "drop"]


def test_they_can_be_taken_back() -> None:
    """One by one, together, at the end of a with; a second time does nothing."""
    faults = Faults("a.test")
    assert list(faults) == []
    with faults.drop("RCPT") as given:
        assert faults.active and list(faults) == [Fault(phase="RCPT", drop=True)]
    assert list(faults) == []
    given.clear()
    two = faults.add(Fault(phase="RCPT", drop=True), 'MAIL reject "451"')
    faults.stall("DATA")
    two.clear()
    assert [fault.kind for fault in faults] == ["stall"]
    faults.clear()
    assert list(faults) == []


def test_those_of_the_configuration_come_back() -> None:
    faults = Faults("a.test", configured=[Fault(phase="RCPT", drop=True, times=1)])
    assert strikes(faults, rcpt()) and not strikes(faults, rcpt())
    faults.note(Fired(Fault(phase="RCPT", drop=True), "RCPT", "x"))
    faults.drop("MAIL")
    faults.start_over()
    assert strikes(faults, rcpt()) and faults.seen == [] and len(faults) == 1


def test_a_word_too_many_is_named() -> None:
    with pytest.raises(ConfigError, match="often: unknown; known are times"):
        Faults("a.test").drop("RCPT", often=2)  # type: ignore[call-arg]
    with pytest.raises(ConfigError, match="refuses nothing"):
        Faults("a.test").reject("RCPT", "250 ok")
    with pytest.raises(ConfigError, match="3 is no Fault"):
        Faults("a.test").add(3)  # type: ignore[arg-type]


def test_faults_given_by_several_threads_at_once() -> None:
    """None is lost, and none stays that was taken back."""
    server = Faults("smtp.a.test")
    kept, interval = 50, sys.getswitchinterval()

    def give() -> None:
        for _ in range(kept):
            server.drop("RCPT")
            server.delay("NOOP", 1).clear()

    threads = [threading.Thread(target=give) for _ in range(8)]
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert [fault.kind for fault in server] == ["drop"] * kept * len(threads)
