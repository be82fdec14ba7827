"""What a fault does to a session, octet by octet; and that nothing else is done to anybody."""

from __future__ import annotations

import smtplib
import socket
import threading
import time
from collections.abc import Callable

import pytest

from harness.rules_plugin import Connect
from harness.wire import WireError, codes
from smtp_pair import ConfigError, Domain, Network, Pair, Server
from smtp_pair.config import Limits
from smtp_pair.facts import Fact
from smtp_pair.faults import Fault, Phase
from smtp_pair.journal import read
from smtp_pair.pytest_plugin import MailNetwork

GROUP = b"MAIL FROM:<a@x.test>\r\nRCPT TO:<luke@jaku.com>\r\nRCPT TO:<leia@jaku.com>\r\nDATA\r\n"


@pytest.fixture
def server(mail_pair: Pair) -> Server:
    return mail_pair.jaku


# -- a refusal leaves what a refusal leaves ----------------------------------------------------------------------------


def test_a_refused_recipient_is_none(server: Server, wire: Connect) -> None:
    """In the middle of a pipelined group; the mail goes to the others."""
    server.faults.reject("RCPT", "451 4.3.0 later", times=1)
    client = wire(server)
    client.say(GROUP)
    assert [str(answer)[:9] for answer in client.replies(4)] == ["250 2.1.0", "451 4.3.0", "250 2.1.5", "354 send "]
    client.say(b"Subject: x\r\n\r\n.\r\n")
    assert client.reply().code == 250
    assert server.messages[0].envelope.recipients == ["leia@jaku.com"]
    [fired] = server.faults.seen
    assert (fired.phase, fired.recipient, fired.sender) == ("RCPT", "luke@jaku.com", "a@x.test")


def test_a_refused_sender_opens_nothing(server: Server, wire: Connect) -> None:
    server.faults.reject("MAIL", "452", times=1)
    client = wire(server)
    client.say(GROUP)
    assert [answer.code for answer in client.replies(4)] == [452, 503, 503, 503]
    client.open("luke@jaku.com")


def test_a_refused_data_leaves_the_transaction(server: Server, wire: Connect) -> None:
    server.faults.reject("DATA", "451", times=1)
    client = wire(server)
    client.open("luke@jaku.com")
    assert client.ask(b"DATA").code == 451
    assert client.data(b"Subject: x\r\n\r\n").code == 250


def test_a_refused_mail_ends_the_transaction(server: Server, wire: Connect) -> None:
    server.faults.reject("dot", "554", times=1)
    client = wire(server)
    client.open("luke@jaku.com")
    assert client.data(b"Subject: x\r\n\r\n").code == 554
    assert client.ask(b"DATA").code == 503
    assert server.messages == []


def test_421_closes(server: Server, wire: Connect) -> None:
    """RFC 5321 3.8."""
    server.faults.reject("RCPT", "421")
    client = wire(server)
    assert client.ask(b"MAIL FROM:<a@x.test>").code == 250
    assert client.ask(b"RCPT TO:<luke@jaku.com>").code == 421
    client.expect_close()


def test_refusals_count_as_errors(mail_network: MailNetwork, wire: Connect) -> None:
    """They are the client's, as far as it can tell (C24)."""
    server = mail_network(Domain("a.test", limits=Limits(errors=3)))["a.test"]
    server.faults.reject("NOOP", "500")
    client = wire(server)
    assert [client.ask(b"NOOP").code for _ in range(3)] == [500, 500, 421]


def test_a_chunk_is_read_and_refused(server: Server, wire: Connect) -> None:
    """Its octets follow whatever is answered, and are no commands (RFC 3030 2)."""
    server.faults.reject("BDAT", "451", times=1)
    client = wire(server)
    client.open("luke@jaku.com")
    client.say(b"BDAT 6 LAST\r\nQUIT\r\n")
    assert client.reply().code == 451
    client.say(b"BDAT 14 LAST\r\nSubject: x\r\n\r\n")
    assert client.reply().code == 250
    assert server.messages[0].subject == "x"


def test_the_last_chunk_is_a_dot(server: Server, wire: Connect) -> None:
    server.faults.reject("dot", "451", times=1)
    client = wire(server)
    client.open("luke@jaku.com")
    client.say(b"BDAT 5\r\nSubjeBDAT 9 LAST\r\nct: x\r\n\r\n")
    assert [answer.code for answer in client.replies(2)] == [250, 451]
    assert server.messages == []


def test_other_words_for_a_success(server: Server, wire: Connect) -> None:
    """The command is carried out; a refusal of the server's own stays one."""
    server.faults.reply("RCPT", "251 2.1.5 not here, but sent on")
    server.faults.reply("greeting", "220 I am another")
    client = wire(server)
    client.ask(b"MAIL FROM:<a@x.test>")
    assert client.ask(b"RCPT TO:<luke@jaku.com>").code == 251
    assert client.ask(b"RCPT TO:<luke@nowhere.test>").code == 550
    assert client.data(b"Subject: x\r\n\r\n").code == 250


def test_a_challenge_is_no_success(mail_network: MailNetwork, wire: Connect) -> None:
    """Other words for it would let a client believe that it had logged in; they are said when it has."""
    server = mail_network(Domain("a.test", auth={"luke": "secret"}))["a.test"]
    server.faults.reply("AUTH", "235 2.7.0 come in")
    client = wire(server)
    assert client.ask(b"AUTH PLAIN").code == 334
    assert client.ask(b"*").code == 501
    assert client.ask(b"AUTH PLAIN AGx1a2UAc2VjcmV0").text == "come in"


# -- taken, and nobody is told -----------------------------------------------------------------------------------------


def send(server: Server) -> None:
    """One mail, by the standard library's client."""
    with smtplib.SMTP(server.host, server.port, local_hostname="client.test", timeout=30) as client:
        client.sendmail("a@x.test", ["luke@jaku.com"], b"Subject: Plans\r\n\r\nText.\r\n")


@pytest.mark.parametrize("kind", ["drop", "reset", "half_close"])
def test_a_lost_reply_makes_a_duplicate(server: Server, kind: str) -> None:
    """The mail is there, whole and for good; its client only sees the connection end, sends it again as it must, and
    it is there twice (RFC 1047)."""
    getattr(server.faults, kind)("accepted", times=1, to="luke@*")
    with pytest.raises(smtplib.SMTPServerDisconnected):
        send(server)
    assert server.wait_for(subject="Plans").raw.endswith(b"Text.\r\n")
    send(server)
    assert [mail.subject for mail in server.messages] == ["Plans", "Plans"]
    [fired] = server.faults.seen
    assert (fired.phase, fired.sender, fired.recipient) == ("accepted", "a@x.test", "luke@jaku.com")


def test_noise_in_place_of_a_receipt(server: Server, wire: Connect) -> None:
    """Also after the last chunk; the session goes on, and the mail was taken once."""
    server.faults.garbage("accepted", b"299 2.0.0 what?\r\n")
    client = wire(server)
    client.open("luke@jaku.com")
    client.say(b"BDAT 14 LAST\r\nSubject: x\r\n\r\n")
    assert client.reply().code == 299
    assert client.ask(b"NOOP").code == 250
    assert [mail.subject for mail in server.messages] == ["x"]


def test_a_receipt_that_is_held_back(server: Server, wire: Connect) -> None:
    """The mail is there all the while, and what follows from it happens when the connection ends: a client that leaves
    in vain has lost nothing."""
    server.faults.stall("accepted")
    client = wire(server)
    client.open("luke@jaku.com")
    client.say(b"DATA\r\n")
    assert client.reply().code == 354
    client.say(b"Subject: x\r\n\r\n.\r\n")
    client.close()
    assert server.wait_for(subject="x").subject == "x"
    server.faults.clear()
    assert len(server.messages) == 1


def test_a_relay_sends_again_what_it_heard_nothing_of(mail_pair: Pair) -> None:
    """Nothing is lost; what comes twice is in the account, and no fault of anybody's."""
    mail_pair.deathstar.faults.drop("accepted", times=2)
    mail_pair.jaku.send(["vader@deathstar.com", "tarkin@deathstar.com"], subject="Plans", sender="luke@jaku.com")
    mail_pair.deathstar.wait_for_all(3, subject="Plans")
    mail_pair.settle()
    account = mail_pair.assert_conserved()
    assert (len(account.duplicates), account.queued, account.ends["forwarded"]) == (4, 0, 2)
    assert mail_pair.jaku.messages == []


def test_a_refused_mail_is_not_accepted(server: Server, wire: Connect) -> None:
    """There is nothing to keep from anybody."""
    server.faults.drop("accepted")
    server.faults.store("full", times=1)
    client = wire(server)
    client.open("luke@jaku.com")
    assert client.data(b"Subject: x\r\n\r\n").code == 452
    assert [fired.phase for fired in server.faults.seen] == ["dot"]


# -- octets ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["after", "body"])
def test_a_drop_is_exact(server: Server, wire: Connect, way: str) -> None:
    """One octet less than it waits for, and all is well; with that one, the connection ends."""
    place: dict[str, str] = {"after": "DATA"} if way == "after" else {"phase": "body"}
    server.faults.drop(**place, bytes=100)  # type: ignore[arg-type]
    client = wire(server)
    client.open("luke@jaku.com")
    assert client.ask(b"DATA").code == 354
    client.say(b"x" * 99)
    other = wire(server)
    assert other.ask(b"NOOP").code == 250  # the server has had its turn
    assert server.faults.seen == []
    client.say(b"x")
    client.expect_close()
    assert [fired.fault.bytes for fired in server.faults.seen] == [100]
    assert server.messages == []


def test_any_octet(server: Server, wire: Connect) -> None:
    server.faults.drop(bytes=30, times=1)
    client = wire(server)  # EHLO takes 21 octets
    client.say(b"NOOP\r\nNO")
    assert client.reply().code == 250
    client.say(b"O")
    client.expect_close()


def test_garbage_is_exact(server: Server, wire: Connect) -> None:
    """NUL, CR and LF included; what was asked is not done, and the session goes on."""
    noise = b"\x00\r\r\n\xff 250 ok\n"
    server.faults.garbage("RCPT", noise, times=1)
    client = wire(server)
    client.ask(b"MAIL FROM:<a@x.test>")
    client.say(b"RCPT TO:<luke@jaku.com>\r\n")
    with pytest.raises(WireError):
        client.reply()
    assert client.raw == [noise[:4]]
    with pytest.raises(WireError):
        client.reply()
    assert client.raw == [noise[4:]]
    assert client.ask(b"DATA").code == 503


@pytest.mark.parametrize("phase", ["EHLO", "RCPT"])
def test_an_overlong_line_has_its_length(server: Server, wire: Connect, phase: Phase) -> None:
    """The last line of the reply; what was asked is done."""
    server.faults.overlong(phase, 5000)
    client = wire(server, hello=False)
    client.reply()
    client.say(b"EHLO c.example\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<luke@jaku.com>\r\nDATA\r\n")
    lengths = []
    for _ in range(4):
        try:
            client.reply()
        except WireError:
            lengths.append(len(client.raw[-1]))
    assert lengths == [5000]
    assert codes(client.reply() if client.raw == [] else client.ask(b".")).startswith("250")


def test_a_throttle_limits_both_directions(server: Server, wire: Connect) -> None:
    """So many octets take their time; whoever is not meant has none to lose."""
    server.faults.throttle(20_000, client="slow.example")
    client = wire(server, hello=False)
    client.reply()
    client.hello(b"slow.example")
    client.open("luke@jaku.com")
    began = time.monotonic()
    answers: list[int] = []
    mail = b"Subject: x\r\n\r\n" + b"y" * 6000 + b"\r\n"
    slow = threading.Thread(target=lambda: answers.append(client.data(mail).code))
    slow.start()
    quick = wire(server)
    quick.open("leia@jaku.com")
    assert quick.data(b"Subject: y\r\n\r\n" + b"y" * 100_000 + b"\r\n").code == 250
    assert answers == []  # the other one is still at it
    slow.join()
    assert answers == [250]
    assert time.monotonic() - began >= 0.25  # 6000 octets at 20000 a second; never less, however quick the machine
    began = time.monotonic()
    client.say(b"NOOP\r\n" * 99)  # 99 replies of 23 octets: the first 2000 come at once, the others after them
    client.replies(99)
    assert time.monotonic() - began >= 0.09
    assert len(server.faults.seen) == 1


def test_an_rst_is_one(server: Server) -> None:
    server.faults.reset("connect")
    with (
        pytest.raises(ConnectionResetError),
        socket.create_connection((server.host, server.port), 30) as client,
    ):
        client.recv(1)


def test_half_closed_it_reads_on(server: Server, wire: Connect) -> None:
    """The client hears the end, and can go on talking until it leaves."""
    server.faults.half_close("RCPT")
    client = wire(server)
    client.ask(b"MAIL FROM:<a@x.test>")
    client.say(b"RCPT TO:<luke@jaku.com>\r\n")
    client.expect_close()
    for _ in range(50):
        client.say(b"NOOP\r\n" * 1000)


# -- stalls, and ends --------------------------------------------------------------------------------------------------


@pytest.fixture
def fired(server: Server) -> Callable[[], bool]:
    """Waits until a fault has come to pass."""
    event = threading.Event()
    server.subscribe(lambda fact: event.set() if fact.event == "fault" else None)
    return lambda: event.wait(30)


def test_several_wait_for_what_is_stalled(mail_pair: Pair, wire: Connect) -> None:
    """Each of them is told when a stall begins, not the last one alone: none waits for what may never come."""
    server = mail_pair.deathstar
    server.faults.delay("RCPT", 0.3)
    server.faults.stall("dot")
    mail_pair.jaku.send("vader@deathstar.com")
    waiters = [threading.Thread(target=mail_pair.settle, daemon=True) for _ in range(3)]
    for one in waiters:
        one.start()
    for one in waiters:
        one.join(10)
    assert not any(one.is_alive() for one in waiters)
    server.faults.clear()


@pytest.mark.parametrize("phase", ["connect", "greeting", "EHLO", "RCPT", "body", "dot", "QUIT"])
def test_a_stalled_server_stops(server: Server, mail_pair: Pair, fired: Callable[[], bool], phase: Phase) -> None:
    """No task is left, and nobody waits."""
    server.faults.stall(phase)
    with socket.create_connection((server.host, server.port), 30) as client:
        client.sendall(
            b"EHLO c\r\n" + (b"QUIT\r\n" if phase == "QUIT" else b"MAIL FROM:<>\r\nRCPT TO:<a@jaku.com>\r\n")
        )
        if phase in ("body", "dot"):
            client.sendall(b"BDAT 2 LAST\r\n\r\n")
        assert fired()
        mail_pair.stop()


def test_a_stall_is_taken_back(server: Server, wire: Connect, fired: Callable[[], bool]) -> None:
    given = server.faults.stall("RCPT")
    client = wire(server)
    client.ask(b"MAIL FROM:<a@x.test>")
    client.say(b"RCPT TO:<luke@jaku.com>\r\n")
    assert fired()
    given.clear()
    assert client.reply().code == 250


def test_a_stalled_session_has_its_time(mail_network: MailNetwork, wire: Connect) -> None:
    """The server's idle time-out ends it, with 421, as it ends any other."""
    server = mail_network(Domain("a.test", limits=Limits(idle=0.05)))["a.test"]
    server.faults.stall("NOOP")
    client = wire(server)
    assert client.ask(b"NOOP").code == 421
    client.expect_close()


def test_a_fault_reaches_open_sessions(server: Server, wire: Connect) -> None:
    """And leaves them when it is taken back."""
    client = wire(server)
    with server.faults.reject("NOOP", "451"):
        assert client.ask(b"NOOP").code == 451
    assert client.ask(b"NOOP").code == 250


def test_parallel_sessions_share_a_count(server: Server, wire: Connect) -> None:
    given = server.faults.reject("NOOP", "451", times=2)
    clients = [wire(server) for _ in range(4)]
    for client in clients:
        client.say(b"NOOP\r\n")
    assert sorted(client.reply().code for client in clients) == [250, 250, 451, 451]
    assert given.fired == 2


def test_hidden_is_not_served(mail_network: MailNetwork, wire: Connect) -> None:
    """From the next EHLO to the one after it is taken back."""
    server = mail_network(Domain("a.test", tls="offered", auth={"a": "b"}))["a.test"]
    given = server.faults.hide("CHUNKING", "STARTTLS", "AUTH", "SIZE")
    client = wire(server)
    assert not {"CHUNKING", "STARTTLS", "AUTH"} & set(client.hello().text.split("\n"))
    assert [client.ask(line).code for line in (b"BDAT 0", b"STARTTLS", b"AUTH PLAIN")] == [502, 502, 502]
    assert client.ask(b"MAIL FROM:<a@x.test> SIZE=10").code == 555
    given.clear()
    assert "CHUNKING" in client.hello().text.split("\n")
    assert client.ask(b"MAIL FROM:<a@x.test> SIZE=10").code == 250


@pytest.mark.parametrize("tls", ["offered", "implicit"])
def test_faults_under_tls(mail_network: MailNetwork, wire: Connect, tls: str) -> None:
    network = mail_network(Domain("a.test", tls=tls))  # type: ignore[arg-type]
    server = network["a.test"]
    server.faults.reject("NOOP", "451", times=1)
    server.faults.drop(after="DATA", bytes=10)
    context = network.client_context()
    client = wire(server, tls=context if tls == "implicit" else None)
    if tls == "offered":
        client.ask(b"STARTTLS")
        client.starttls(context)
        client.hello()
    assert client.ask(b"NOOP").code == 451
    client.open("luke@a.test")
    assert client.ask(b"DATA").code == 354
    client.say(b"0123456789")
    with pytest.raises(WireError, match="closed|broke"):
        client.reply()


# -- what is stored, and what is told ----------------------------------------------------------------------------------


@pytest.mark.parametrize("durability", ["fast", "durable"])
@pytest.mark.parametrize(("trouble", "code"), [("full", "452 4.3.1"), ("error", "451 4.3.0")])
def test_a_store_in_trouble_keeps_nothing(mail_network: MailNetwork, durability: str, trouble: str, code: str) -> None:
    """No file, no row in the queue, no mail that a test could find; the next mail is taken."""
    network = mail_network("a.test", "b.test", durability=durability)  # type: ignore[arg-type]
    server = network["a.test"]
    recipients = ["luke@a.test", "leia@b.test"]
    with server.faults.store(trouble):
        assert {str(answer)[:9] for answer in server.send(recipients, subject="no").values()} == {code}
    assert (server.messages, server.queue) == ([], [])
    assert [path for path in server.directory.glob("maildir/**/*") if path.is_file()] == []
    assert list(server.directory.glob("spool/*.eml")) == []
    assert {answer.code for answer in server.send(recipients, subject="yes").values()} == {250}
    assert network["b.test"].wait_for().subject == "yes"


def test_the_journal_has_them(server: Server, wire: Connect) -> None:
    server.faults.reject("RCPT", "451 4.3.0 later")
    client = wire(server)
    client.ask(b"MAIL FROM:<a@x.test>")
    client.ask(b"RCPT TO:<luke@jaku.com>")
    facts = [fact for fact in read(server.directory) if fact.event == "fault"]
    assert [(fact.data["phase"], fact.data["fault"], fact.data["recipient"]) for fact in facts] == [
        ("RCPT", 'RCPT reply "451 4.3.0 later"', "luke@jaku.com")
    ]


def test_addresses_ask_only_where_they_may(mail_network: MailNetwork) -> None:
    """It is opt-in."""
    network = mail_network(Domain("a.test", fault_addresses=True), "b.test")
    said = {name: str(network["a.test"].send(name)[name])[:9] for name in ("x+rcptto452@a.test", "permerror@a.test")}
    assert list(said.values()) == ["452 4.3.1", "550 5.1.1"]
    assert network["b.test"].send("x+rcptto452@b.test")["x+rcptto452@b.test"].code == 250


# -- the whole server, and the network ---------------------------------------------------------------------------------


def test_down_and_up_again(mail_pair: Pair, wire: Connect) -> None:
    """The same port; open sessions break; what waits for it arrives."""
    server = mail_pair.deathstar
    client, port = wire(server), server.port
    with server.faults.down():
        with pytest.raises(WireError):
            client.ask(b"NOOP")
        with pytest.raises(ConnectionRefusedError):
            wire(server)
        mail_pair.jaku.send("vader@deathstar.com", subject="late")
        mail_pair.settle()
        assert mail_pair.jaku.queue[0].last.startswith("451 4.4.1")
    assert server.port == port and wire(server).ask(b"NOOP").code == 250
    assert server.wait_for().subject == "late"


def test_down_from_the_servers_own_thread(mail_pair: Pair, wire: Connect) -> None:
    """A listener may take its server down: the open sessions break all the same, and nobody waits for himself."""
    server = mail_pair.jaku

    def take_down(fact: Fact) -> None:
        if fact.event == "received":
            server.faults.down()

    server.subscribe(take_down)
    client = wire(server)
    client.open("luke@jaku.com")
    assert client.data(b"Subject: Plans\r\n\r\n").code == 250
    client.expect_close()
    with pytest.raises(ConnectionRefusedError):
        wire(server)


def test_down_from_the_start(mail_network: MailNetwork, wire: Connect) -> None:
    server = mail_network(Domain("a.test", faults=[Fault(down=True)]))["a.test"]
    assert server.queue == []  # it is open, then
    with pytest.raises(ConnectionRefusedError):
        wire(server)
    server.faults.clear()
    assert wire(server).ask(b"NOOP").code == 250


def test_a_partition_goes_both_ways(mail_network: MailNetwork, wire: Connect) -> None:
    """Kept connections included; others are not concerned, nor are clients. Once healed, all arrives, once."""
    network = mail_network("a.test", "b.test", "c.test", clock="manual")
    a, b, c = network.servers
    for one, other in ((a, b), (b, a)):
        one.send(f"x@{other.domain}", subject="kept")
    network.settle()
    with network.partition("b.test", "smtp.a.test"):
        a.send(["x@b.test", "x@c.test"], subject="later")
        b.send(["x@a.test", "x@c.test"], subject="later")
        network.settle()
        assert [len(server.queue) for server in network] == [1, 1, 0]
        assert {one.last[:9] for server in (a, b) for one in server.queue} == {"451 4.4.1"}
        assert len(c.messages) == 2
        assert wire(a).ask(b"NOOP").code == 250
    network.clock.advance(minutes=1)
    assert [[mail.subject for mail in server.messages] for server in (a, b)] == [["kept", "later"]] * 2


def test_a_partition_needs_two(mail_pair: Pair) -> None:
    with pytest.raises(ConfigError, match="the same server"):
        mail_pair.partition("jaku.com", "smtp.jaku.com")
    with pytest.raises(KeyError, match="nowhere"):
        mail_pair.partition("jaku.com", "nowhere.test")
    with pytest.raises(ConfigError, match="give two domains"):
        mail_pair.heal("jaku.com")


def test_fresh_takes_all_back(mail_pair: Pair) -> None:
    """A stall that somebody left would hold it up else."""
    mail_pair.deathstar.faults.stall("RCPT")
    mail_pair.partition("jaku.com", "deathstar.com")
    mail_pair.jaku.send("x@deathstar.com")
    with mail_pair.fresh():
        assert (list(mail_pair.deathstar.faults), mail_pair.deathstar.faults.seen) == ([], [])
        mail_pair.jaku.send("x@deathstar.com", subject="through")
        assert mail_pair.deathstar.wait_for().subject == "through"


def test_the_clock_does_not_wait_for_a_stall(mail_network: MailNetwork) -> None:
    """Others get their mail; the stalled one when it can."""
    network: Network = mail_network("a.test", "b.test", "c.test", clock="manual")
    network["b.test"].faults.stall("DATA")
    network["a.test"].send(["x@b.test", "x@c.test"], subject="x")
    network.clock.advance(hours=1)
    assert [len(server.messages) for server in network] == [0, 0, 1]
    network["b.test"].faults.clear()
    network.settle()
    assert [len(server.messages) for server in network] == [0, 1, 1]


def test_a_partition_in_the_middle_of_a_greeting(mail_pair: Pair) -> None:
    """The connection is there, and the client has not said who it is: no mail gets through all the same."""
    greeting = mail_pair.deathstar.faults.stall("greeting")
    mail_pair.jaku.send("vader@deathstar.com", subject="Plans")
    mail_pair.settle()
    assert [fired.phase for fired in mail_pair.deathstar.faults.seen] == ["greeting"]
    with mail_pair.partition("jaku.com", "deathstar.com"):
        greeting.clear()
        mail_pair.settle()
        assert mail_pair.deathstar.messages == []
        assert mail_pair.jaku.queue[0].last.startswith("451 4.4.1")
    mail_pair.jaku.retry_now()
    assert mail_pair.deathstar.wait_for().subject == "Plans"


def test_a_kept_connection_does_not_outlive_what_sessions_begin_with(mail_network: MailNetwork) -> None:
    """A relay keeps its connection for the next mail. A fault that a session meets as it begins is met by the very next
    mail all the same, and is forgotten with it: what one test hid, the next one is offered."""
    network = mail_network("a.test", "b.test", clock="manual")
    a, b = network

    def pass_on() -> None:
        a.send("you@b.test", sender="me@a.test")
        network.settle()

    pass_on()
    greeted = b.faults.reject("greeting", "421 4.3.2 not now", times=1)
    pass_on()
    assert (greeted.fired, a.queue[0].last) == (1, "421 4.3.2 not now")
    a.retry_now()
    network.settle()
    with b.faults.hide("PIPELINING") as hidden:
        pass_on()
        assert hidden.fired == 1
    pass_on()
    assert "PIPELINING" in next(event.text for event in b.transcripts[-1].events[1:] if event.kind == "reply")
    assert len(b.messages) == 4
