"""The interactive client: its questions with answers at hand, then for real at a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from smtp_pair.clients import interactive
from smtp_pair.clients.message import ClientError, Draft, Mailbox
from smtp_pair.network import Pair

if TYPE_CHECKING:
    from tests.clients.conftest import StubServer, Terminal


def quietly(line: str) -> None:
    """Show nothing."""


class Person:
    """Answers from a list, and leaves when it ends; keeps what was asked and shown."""

    def __init__(self, *answers: str | BaseException) -> None:
        self._answers: Iterator[str | BaseException] = iter(answers)
        self.asked: list[str] = []
        self.told: list[str] = []

    def ask(self, prompt: str) -> str:
        self.asked.append(prompt)
        answer = next(self._answers, EOFError())
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def write(self, pick_file: Callable[[], Path | None] = lambda: None) -> Draft:
        return interactive.write("vader@deathstar.com", ask=self.ask, show=self.told.append, pick_file=pick_file)


def test_name_and_address_are_kept_apart(mail_pair: Pair) -> None:
    """The header has both, the envelope exactly the address; the original glued them together."""
    person = Person("Dinner", "Obiwan", "obiwan@jaku.com", "n", "At eight.", "Bring nothing.", ".", "n")
    server = mail_pair.deathstar
    result = interactive.compose(server.host, server.port, ask=person.ask, show=person.told.append)
    assert result.accepted == ("obiwan@jaku.com",)
    mail = mail_pair.jaku.wait_for(to="obiwan@jaku.com", subject="Dinner")
    assert [str(each) for each in mail.envelope.recipients] == ["obiwan@jaku.com"]
    assert (mail.envelope.sender, mail.message["From"]) == ("vader@deathstar.com", "vader@deathstar.com")
    assert mail.message["To"] == "Obiwan <obiwan@jaku.com>"
    assert mail.message.get_content().splitlines() == ["At eight.", "Bring nothing."]
    assert person.told[-1] == "accepted: obiwan@jaku.com"
    # Python 3.13 says `mail from:`
    assert r"send: 'mail from:<vader@deathstar.com> size=" in "\n".join(person.told).replace("FROM", "from")


def test_several_recipients_and_attachments(tmp_path: Path) -> None:
    """Each is shown with its size when it was picked."""
    files = [tmp_path / "plans.txt", tmp_path / "big.bin"]
    for path, size in zip(files, (12, 1_234_567), strict=True):
        path.write_bytes(bytes(size))
    picks = iter(files)
    person = Person("", "Obiwan", "obiwan@jaku.com", "YES", "", "luke@jaku.com", "", ".", "y", "S", "não")
    draft = person.write(lambda: next(picks))
    assert draft.recipients == (Mailbox("obiwan@jaku.com", "Obiwan"), Mailbox("luke@jaku.com"))
    assert (draft.title, draft.text) == ("", "")
    assert [each.filename for each in draft.attachments] == ["plans.txt", "big.bin"]  # type: ignore[union-attr]
    assert person.told[-2:] == ["  Attached: plans.txt, 12 bytes", "  Attached: big.bin, 1.2 MB"]
    assert person.asked[-1] == "Attach another file? [y]es [N]o: "


@pytest.mark.parametrize("yes", ["y", "yes", "Y", "s", "S", "sim", "SIM", " Sim "])
def test_yes_in_two_languages(yes: str) -> None:
    """Whatever the case; and a window closed without a choice attaches nothing, and asks again whether to attach."""
    person = Person("t", "", "a@b.c", "", ".", yes, "maybe", "")
    assert person.write().attachments == ()
    assert person.told[-2:] == ["  No file was chosen.", "  Please try again: 'maybe' is neither yes nor no."]


def test_what_cannot_be_is_asked_again_with_the_reason(tmp_path: Path) -> None:
    """A title with an escape sequence, a bad address, bytes that are no text, a missing file, a folder."""
    (tmp_path / "file").write_text("x")
    picks = iter([tmp_path / "missing", tmp_path, tmp_path / "file"])
    broken = UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid")
    person = Person("\x1b[31m", broken, "t", "n", "obiwan", "obiwan@", "obiwan@jaku.com", "", broken, "x", ".", "y", "")
    draft = person.write(lambda: next(picks))
    assert (draft.title, draft.text, len(draft.attachments)) == ("t", "x\n", 1)
    reasons = ["control character", "read as text", "'obiwan' is no address", "'obiwan@' is no", "read as text"]
    reasons += ["missing does not exist", "is a folder"]
    again = [line for line in person.told if line.startswith("  Please try again: ")]
    assert len(again) == len(reasons)
    assert all(reason in line and line.isprintable() for reason, line in zip(reasons, again, strict=True))


def test_end_of_input_ends_the_content_but_no_other_answer() -> None:
    assert Person("t", "", "a@b.c", "", "text", EOFError(), "n").write().text == "text\n"
    for count in range(8):
        answers = ("t", "", "a@b.c", "", "text", ".", "y", "n")[:count]
        with pytest.raises(EOFError):
            Person(*answers).write()


def test_a_server_that_is_not_there_costs_nobody_the_mail(mail_pair: Pair) -> None:
    """Sending can be tried again; given up, it is an error."""
    answers = ("t", "", "vader@deathstar.com", "", ".", "")
    person = Person(*answers, "n")
    with pytest.raises(ClientError, match="unknown"):
        interactive.compose("nowhere.invalid", 25, ask=person.ask, show=person.told.append)
    with pytest.raises(ClientError, match="unknown"):  # the reason, not the end of input, is what matters
        interactive.compose("nowhere.invalid", 25, ask=Person(*answers).ask, show=quietly)
    assert person.told[-1].startswith("nowhere.invalid:25 cannot be reached")
    assert person.asked[-1].startswith("Try to send it again?")


def test_a_senders_address_that_is_none_is_refused_first() -> None:
    with pytest.raises(ClientError, match="'vader' is no address"):
        interactive.compose("127.0.0.1", 25, sender="vader", ask=Person().ask, show=quietly)
    with pytest.raises(ClientError, match="'vader' is no address"):
        interactive.run("127.0.0.1", 25, sender="vader")


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (999_949, "999.9 kB"), (2 * 10**6, "2.0 MB")],
)
def test_sizes(count: int, words: str) -> None:
    assert interactive.size(count) == words


# At a terminal, as a program.

ANSWERS = (("Title: ", "Seen"), ("name: ", "Luke"), ("address: ", "luke@jaku.com"), ("recipient? ", ""), ("> ", "."))


def test_a_mail_written_at_a_terminal(composing: Callable[..., Terminal], mail_pair: Pair, tmp_path: Path) -> None:
    """A bad address is asked again, `sim` attaches, Tab completes a path with spaces from the home folder."""
    content = bytes(range(256)) * 40
    folder = tmp_path / "home" / "holiday pictures"
    folder.mkdir(parents=True)
    (folder / "death star.gif").write_bytes(content)
    (folder / "death ray.gif").write_bytes(b"")
    screen = composing()
    screen.answer("Title: ", "Holidäys")
    screen.answer("name: ", "Obiwan")
    screen.answer("address: ", "Obiwanobiwan@@jaku.com")
    screen.expect("Please try again: 'Obiwanobiwan@@jaku.com' is no address")
    screen.answer("address: ", "obiwan@jaku.com")
    screen.answer("Another recipient? [y]es [N]o: ", "")
    screen.answer("> ", "Wish you were here.")
    screen.answer("> ", ".")
    screen.answer("Attach a file? [y]es [N]o: ", "sim")
    screen.expect("No file dialogue here (there is no screen)")
    screen.answer("File (an empty line for none): ", "~/missing")
    screen.expect("Please try again: ~/missing does not exist")
    screen.expect("File (an empty line for none): ")
    screen.type("~/hol\t")
    screen.expect("iday pictures/")
    screen.type("de\t")
    screen.expect("ath ")
    screen.type("s\t")
    screen.expect("tar.gif")
    screen.type("\r")
    screen.expect("Attached: death star.gif, 10.2 kB")
    screen.answer("Attach another file? [y]es [N]o: ", "N")
    screen.expect("send: 'ehlo [127.0.0.1]")
    screen.expect("accepted: obiwan@jaku.com")
    assert screen.exit_code() == 0
    (attachment,) = mail_pair.jaku.wait_for(to="obiwan@jaku.com", subject="Holidäys").attachments
    assert (attachment.filename, attachment.content) == ("death star.gif", content)


def test_tab_is_a_tab_again_after_the_path(composing: Callable[..., Terminal]) -> None:
    """readline is given back as it was: Tab in a later answer completes nothing."""
    screen = composing()
    for question, answer in ANSWERS:
        screen.answer(question, answer)
    screen.answer("Attach a file? ", "s")
    screen.answer("File (an empty line for none): ", "")
    screen.expect("No file was chosen.")
    screen.expect("Attach a file? [y]es [N]o: ")
    screen.type("/et\t\r")
    screen.expect(r"'/et' is neither yes nor no")
    screen.expect("Attach a file? [y]es [N]o: ")
    screen.type("\x04")
    assert screen.exit_code() == 1


@pytest.mark.parametrize(
    "question", ["Title: ", "name: ", "address: ", "recipient? [y]es [N]o: ", "> ", "file? [y]es [N]o: "]
)
def test_ctrl_c_leaves_cleanly(composing: Callable[..., Terminal], mail_pair: Pair, question: str) -> None:
    """At any question: one line, exit code 130, no traceback, no mail."""
    screen = composing()
    for earlier, answer in ANSWERS:
        if question.startswith(earlier):
            break
        screen.answer(earlier, answer)
    screen.expect(question)
    screen.type("half an ans")
    screen.expect("half an ans")
    screen.interrupt("\r\nNothing was sent.\r\n")
    assert screen.exit_code() == 130
    assert "Traceback" not in screen.screen
    assert mail_pair.deathstar.messages == []


def test_end_of_input_leaves_cleanly(composing: Callable[..., Terminal]) -> None:
    """Ctrl-D at a question: one line, exit code 1; at the content it only ends that."""
    screen = composing()
    for question, answer in ANSWERS[:-1]:
        screen.answer(question, answer)
    screen.answer("> ", "text")
    screen.expect("> ")
    screen.type("\x04")
    screen.expect("Attach a file? [y]es [N]o: ")
    screen.type("\x04")
    screen.expect("\r\nNothing was sent.\r\n")
    assert screen.exit_code() == 1
    assert "Traceback" not in screen.screen


@pytest.mark.parametrize(
    ("silent_at", "seen", "said"),
    [("MAIL", "send: 'mail ", "Nothing was sent."), ("dot", "send: b'Date", "the mail may have been sent.")],
)
def test_ctrl_c_while_sending_says_whether_the_mail_can_have_gone(
    composing: Callable[..., Terminal], rude_server: Callable[..., StubServer], silent_at: str, seen: str, said: str
) -> None:
    server = rude_server(**{silent_at: b""})
    screen = composing(server)
    for question, answer in ANSWERS:
        screen.answer(question, answer)
    screen.answer("Attach a file? ", "")
    screen.expect(seen)
    if silent_at == "dot":
        assert server.dot.wait(10)
    screen.interrupt(said)
    assert screen.exit_code() == 130
    assert "Traceback" not in screen.screen


def test_none_accepted_is_exit_code_1(composing: Callable[..., Terminal]) -> None:
    screen = composing()
    for question, answer in ANSWERS:
        screen.answer(question, answer.replace("luke@jaku.com", "paimon@genshinimpact.com"))
    screen.answer("Attach a file? ", "")
    screen.expect("refused:  paimon@genshinimpact.com, 550 5.1.2")
    assert screen.exit_code() == 1


# With a screen.


def _up_to_the_file(screen: Terminal) -> None:
    for question, answer in ANSWERS:
        screen.answer(question, answer)
    screen.answer("Attach a file? ", "y")
    screen.expect("Choose the file in the window that opens.")


def test_a_file_picked_in_the_dialogue(
    composing: Callable[..., Terminal], display: str, window: Callable[..., None], mail_pair: Pair, tmp_path: Path
) -> None:
    """A path typed into the window is attached; a window closed with Escape attaches nothing."""
    path = tmp_path / "a picture.gif"
    path.write_bytes(b"GIF89a")
    screen = composing(DISPLAY=display)
    _up_to_the_file(screen)
    window("key", "Escape")
    screen.expect("No file was chosen.")
    screen.answer("Attach a file? ", "y")
    window("type", str(path))
    window("key", "Return")
    screen.expect("Attached: a picture.gif, 6 bytes")
    screen.answer("Attach another file? ", "")
    assert screen.exit_code() == 0
    (attachment,) = mail_pair.jaku.wait_for(to="luke@jaku.com", subject="Seen").attachments
    assert (attachment.filename, attachment.content) == ("a picture.gif", b"GIF89a")


def test_ctrl_c_while_the_dialogue_is_open(
    composing: Callable[..., Terminal], display: str, window: Callable[..., None]
) -> None:
    """It reaches the client at the terminal, and the window goes with it."""
    screen = composing(DISPLAY=display)
    _up_to_the_file(screen)
    window()
    screen.interrupt("Nothing was sent.")
    assert screen.exit_code() == 130
    assert "Traceback" not in screen.screen


def test_a_screen_that_cannot_be_reached_falls_back_to_the_prompt(composing: Callable[..., Terminal]) -> None:
    """The reason is said, and the path can be typed."""
    screen = composing(DISPLAY=":987654")
    _up_to_the_file(screen)
    screen.expect("No file dialogue here (")
    screen.expect("File (an empty line for none): ")
    screen.interrupt("Nothing was sent.")
    assert screen.exit_code() == 130
