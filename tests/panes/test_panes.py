"""The panes, key by key: real servers, real mails, Textual's own pilot."""

from __future__ import annotations

import asyncio
import smtplib
import threading
from pathlib import Path

import pytest
from textual.widgets import Input, TextArea

from harness.panes_stage import Show, Shown
from smtp_pair import Domain
from smtp_pair.clients import file_dialogue, samples
from smtp_pair.recorder import Said
from smtp_pair.screen.panes.dialogs import ComposeScreen, HelpScreen, MailScreen
from smtp_pair.screen.panes.stream import ROWS
from smtp_pair.transcript import Event

pytestmark = pytest.mark.asyncio


# -- what is shown -----------------------------------------------------------------------------------------------------


async def test_the_scripted_mail_is_seen_in_all_three_panes(show: Show) -> None:
    """s sends it: counts, mails with what became of them, the conversation on either side, the client's three
    outcomes."""
    async with show() as shown:
        await shown.press("s")
        await shown.settle()
        assert "1 mail  3 files  1 refused" in shown.text
        assert "→ luke     Three files for" in shown.text  # passed on
        assert "✓ luke     Three files for" in shown.text  # delivered
        jaku, deathstar, client = (shown.said(number) for number in (1, 2, 3))
        assert "from client 1" in jaku and "→ [18," in jaku and "refused <paimon@genshinimpact.com>" in jaku
        assert "file jaku.jpeg, 3,263 octets" in jaku and "forwarded <vader@deathstar.com>" in jaku
        assert "from smtp.jaku.com" in deathstar and "received Three files for three worlds" in deathstar
        for outcome in ("accepted: obiwan@jaku.com", "accepted: vader@deathstar.com", "refused:  paimon@gensh"):
            assert outcome in client


async def test_queue_and_faults_are_shown_while_they_last(show: Show) -> None:
    """A recipient that waits, how often it was tried, what the server does wrong and how often it did; and no longer
    when it has gone."""
    async with show(clock="manual") as shown:
        fault = shown.network["deathstar.com"].faults.reject("RCPT", "451 4.3.0 not now")
        await asyncio.to_thread(
            lambda: shown.network["jaku.com"].send("vader@deathstar.com", subject="Later", sender="luke@jaku.com")
        )
        await shown.settle()
        assert "1 queued" in shown.text and "↻ luke     Later" in shown.text
        assert any("vader@deathstar.com" in row and "1×" in row for row in shown.rows)  # noqa: RUF001
        assert 'RCPT reply "451 4.3.0 not now"' in shown.text and "1 fault" in shown.text
        fault.clear()
        await asyncio.to_thread(shown.network["jaku.com"].retry_now)
        await shown.network["deathstar.com"].wait_for_async(subject="Later")
        await shown.settle()
        assert "queued" not in shown.rows[1] and "→ luke     Later" in shown.text
        assert "faults ──" not in shown.text


async def test_a_server_that_is_down_or_stopped_says_so(show: Show) -> None:
    """In the head of its pane; a mail for it says why it was not sent, and the panes go on."""
    async with show() as shown:
        with shown.network["deathstar.com"].faults.down():
            await shown.draw()
            assert "down" in shown.rows[0]
        await shown.draw()
        assert "down" not in shown.rows[0]
        await asyncio.to_thread(shown.network.stop)
        await shown.draw()
        assert shown.rows[0].count("stopped") == 2
        await shown.press("s")
        await shown.settle()
        assert "nothing listens there" in shown.told(3)
        await shown.press("question_mark")
        assert isinstance(shown.app.screen, HelpScreen)


# -- keys --------------------------------------------------------------------------------------------------------------


async def test_numbers_go_to_panes(show: Show) -> None:
    """1, 2 and 3; the pane that has the focus is marked, and Tab goes from its mails to its conversation."""
    async with show() as shown:
        panes = shown.app.panes
        for key, at in (("2", 1), ("3", 2), ("1", 0)):
            await shown.press(key)
            assert [pane.has_class("active") for pane in panes] == [number == at for number in range(3)]
        await shown.press("9")
        assert panes[0].has_class("active")
        await shown.press("tab")
        assert panes[0].stream.has_focus


async def test_the_filter_leaves_what_has_the_text_in_it(show: Show) -> None:
    """In mails and conversations of all panes, while it is typed, in any case; Enter keeps it, Escape shows all."""
    async with show() as shown:
        for title in ("Plans", "Lunch"):
            shown.network["jaku.com"].send(["obiwan@jaku.com"], subject=title, sender="luke@jaku.com")
        await shown.draw()
        everything = shown.said(1)
        await shown.press("slash")
        await shown.write("PLAN")
        assert [mail.fact.data["title"] for mail in shown.mails(1).mails] == ["Plans"]
        assert shown.said(1).startswith("received Plans\n") and "Lunch" not in shown.said(1)
        await shown.press("enter")
        assert "filter: PLAN  esc clears" in shown.rows[-1]
        shown.network["jaku.com"].send(["obiwan@jaku.com"], subject="Planets", sender="luke@jaku.com")
        await shown.draw()
        assert "received Planets" in shown.said(1)
        await shown.press("escape")
        assert shown.said(1).startswith(everything) and "filter:" not in shown.rows[-1]


async def test_letters_are_letters_while_the_filter_is_typed(show: Show) -> None:
    """q, s and 2 belong to the text then, and Escape leaves the field."""
    async with show() as shown:
        await shown.press("slash")
        await shown.write("qs2c")
        assert shown.app.query_one("#filter", Input).value == "qs2c"
        assert shown.app.is_running and shown.app.panes[0].number == 1
        await shown.press("escape")
        assert shown.app.wanted == "" and shown.app.panes[0].has_class("active")


async def test_scrolling_up_stops_following_and_f_goes_on(show: Show) -> None:
    """What is read stays where it is, however much comes, also when the oldest rows go; f goes to the end again."""
    async with show() as shown:
        view = shown.app.panes[0].stream
        flood(shown, 100)
        await shown.draw()
        assert view.scroll_offset.y == view.max_scroll_y > 0
        await shown.press("tab", "pageup")
        assert "paused" in shown.text
        top = view.rows[view.scroll_offset.y].text
        for _ in range(4):
            flood(shown, ROWS // 4 - 20, first=100)
            await shown.draw()
        assert view.stream.gone > 0
        assert view.rows[view.scroll_offset.y].text == top
        await shown.press("f")
        assert view.scroll_offset.y == view.max_scroll_y and "paused" not in shown.text
        await shown.press("f")
        assert "paused" in shown.text


async def test_the_cursor_stays_with_the_newest_mail_until_it_is_moved(show: Show) -> None:
    """Then it stays with its mail, whatever comes."""
    async with show() as shown:
        for title in ("first", "second"):
            shown.network["jaku.com"].send("obiwan@jaku.com", subject=title)
        await shown.draw()
        mails = shown.mails(1)
        assert mails.cursor == 1
        await shown.press("up")
        shown.network["jaku.com"].send("obiwan@jaku.com", subject="third")
        await shown.draw()
        assert mails.cursor == 0
        await shown.press("end")
        assert mails.cursor == 2
        await shown.press("up", "enter")
        assert shown.over(MailScreen).mail.title == "second"


async def test_a_mail_is_opened_page_by_page(show: Show) -> None:
    """Enter: text, headers, attachments with their files and digests, the raw mail, the hops; Escape closes it."""
    async with show() as shown:
        await shown.press("s")
        await shown.settle()
        await shown.press("2", "enter")
        assert isinstance(shown.app.screen, MailScreen)
        assert "Three files for three worlds" in shown.text and "Greetings from Jaku." in shown.text
        await shown.press("right")
        assert "Received: from smtp.jaku.com" in shown.text and "Message-ID: <" in shown.text
        await shown.press("3")
        [mail] = shown.network["deathstar.com"].messages
        for attachment, (name, _) in zip(mail.attachments, samples.files(), strict=True):
            assert name in shown.text and f"sha256 {attachment.sha256}" in shown.text
            assert str(attachment.path) in "".join(shown.text.split("│")).replace("\n", "").replace(" ", "")
        await shown.press("4")
        assert "boundary=" in shown.text
        await shown.press("5")
        assert "1  smtp.jaku.com" in shown.text and "2  smtp.deathstar.com" in shown.text
        await shown.press("right")
        assert "Greetings from Jaku." in shown.text
        await shown.press("escape")
        assert not isinstance(shown.app.screen, MailScreen)


async def test_a_mail_that_was_only_passed_on_says_so(show: Show) -> None:
    """Its server keeps no copy; the raw page says that, and nothing breaks. So with a mail whose files have gone."""
    async with show() as shown:
        shown.network["jaku.com"].send("vader@deathstar.com", subject="Through")
        await shown.settle()
        await shown.press("enter")
        for page in "12345":
            await shown.press(page)
        await shown.press("4")
        assert "smtp.jaku.com has no copy" in shown.text
        await shown.press("escape", "2")
        shown.network["deathstar.com"].messages[0].path.unlink()
        await shown.press("enter", "4")
        assert "smtp.deathstar.com has no copy" in shown.text
        await shown.press("5")
        assert "<vader@deathstar.com> delivered" in shown.text


async def test_a_mail_that_waits_can_be_read(show: Show) -> None:
    """Its text, its header and its attachments, as it lies in the queue, and why it waits."""
    async with show(durability="durable") as shown:
        shown.network["deathstar.com"].faults.reject("RCPT", "451 4.3.0 not now")
        shown.network["jaku.com"].send(
            "vader@deathstar.com", subject="Later", body="Soon.", attachments={"a.bin": b"12345"}
        )
        await shown.settle()
        await shown.press("enter")
        assert "Soon." in shown.text
        await shown.press("2")
        assert "Subject: Later" in shown.text
        await shown.press("3")
        assert "1  a.bin" in shown.text and "5 octets" in shown.text
        await shown.press("4")
        assert "(as it waits in the queue)" in shown.text
        await shown.press("5")
        assert "<vader@deathstar.com> put off" in shown.text and "said 451 4.3.0 not now" in " ".join(
            shown.text.split()
        )


async def test_help_tells_every_key(show: Show) -> None:
    """? and F1; any of Escape, q, Enter closes it, and q does not leave the panes then."""
    async with show() as shown:
        await shown.press("question_mark")
        for word in ("go to a pane", "open the mail", "/", "follow", "scripted mail", "write a mail", "leave"):
            assert word in shown.text
        await shown.press("q")
        assert not isinstance(shown.app.screen, HelpScreen) and shown.app.is_running
        await shown.press("f1", "escape")
        assert not isinstance(shown.app.screen, HelpScreen)


@pytest.mark.parametrize("key", ["q", "ctrl+c"])
async def test_q_and_ctrl_c_leave(show: Show, key: str) -> None:
    """At once, with nothing that keeps the program."""
    async with show() as shown:
        await shown.pilot.press(key)
        assert not shown.app.is_running or shown.app._exit


@pytest.mark.parametrize("over", ["c", "question_mark", "slash"])
async def test_ctrl_c_leaves_from_everywhere(show: Show, over: str) -> None:
    """From the help, and from the form and the filter, where it would copy what is selected."""
    async with show() as shown:
        await shown.press(over)
        if isinstance(shown.app.focused, Input):
            await shown.write("word")
            shown.app.focused.select_all()
        await shown.pilot.press("ctrl+c")
        assert not shown.app.is_running or shown.app._exit


# -- a mail is written -------------------------------------------------------------------------------------------------


async def fill(shown: Shown, to: str, title: str, text: str) -> None:
    for widget, value in (("#to", to), ("#title", title)):
        shown.app.screen.query_one(widget, Input).value = value
    shown.app.screen.query_one("#text", TextArea).text = text


async def test_a_mail_is_written_and_sent(show: Show, tmp_path: Path) -> None:
    """c, the fields, a file by its path, Ctrl-S: it arrives as it was written, through the server in focus."""
    (tmp_path / "plans.txt").write_bytes(b"a weak spot")
    async with show() as shown:
        await shown.press("2", "c")
        assert "A mail through smtp.deathstar.com" in shown.text
        await shown.write("leia@deathstar.com")
        await shown.press("tab")
        await shown.write("Hello")
        await shown.press("tab")
        await shown.write("[b]you[/b]")
        await shown.press("tab")
        shown.app.screen.query_one("#file", Input).value = str(tmp_path / "plans.txt")
        await shown.press("enter", "ctrl+s")
        await shown.settle()
        [mail] = shown.network["deathstar.com"].messages
        assert (mail.envelope.sender, mail.subject, mail.text) == ("vader@deathstar.com", "Hello", "[b]you[/b]\n")
        assert mail.attachments["plans.txt"].content == b"a weak spot"
        assert "accepted: leia@deathstar.com" in shown.said(3)


@pytest.mark.parametrize(
    ("to", "sender", "problem"),
    [
        ("", "vader@deathstar.com", "there is no recipient"),
        ("no address", "vader@deathstar.com", "'no address' is no address"),
        ("leia@deathstar.com", "", "is no address"),
    ],
)
async def test_what_cannot_be_sent_is_said_and_not_lost(show: Show, to: str, sender: str, problem: str) -> None:
    """The form stays, with the reason; closed and opened again it still has what was typed."""
    async with show() as shown:
        await shown.press("c")
        await fill(shown, to, "Title", "Text")
        shown.app.screen.query_one("#sender", Input).value = sender
        await shown.press("ctrl+s")
        assert problem in shown.text
        await shown.press("escape", "c")
        assert shown.app.screen.query_one("#title", Input).value == "Title"
        assert shown.app.screen.query_one("#text", TextArea).text == "Text"


async def test_a_file_that_cannot_be_read_is_said(show: Show, tmp_path: Path) -> None:
    """When it is added, and a path that was typed and not added is not forgotten silently."""
    async with show() as shown:
        await shown.press("c")
        await fill(shown, "obiwan@jaku.com", "", "")
        field = shown.app.screen.query_one("#file", Input)
        field.focus()
        field.value = str(tmp_path / "missing")
        await shown.press("enter")
        assert "missing" in shown.text.replace("\n", "") and isinstance(shown.app.screen, ComposeScreen)
        await shown.press("ctrl+s")
        assert "typed and not added" in shown.text


async def test_a_path_is_completed(show: Show, tmp_path: Path) -> None:
    """As at the prompt of `smtp-pair compose`, with the right arrow."""
    (tmp_path / "holiday.jpeg").touch()
    async with show() as shown:
        await shown.press("c")
        field = shown.app.screen.query_one("#file", Input)
        field.focus()
        field.value = str(tmp_path / "holi")
        await shown.until(lambda: field._suggestion)
        await shown.press("right")
        assert field.value == str(tmp_path / "holiday.jpeg")


async def test_a_file_is_picked_in_a_window_where_there_is_one(
    show: Show, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-O; without a screen the path is asked for instead. (The window itself is tested with the client.)"""
    (tmp_path / "star.gif").write_bytes(b"GIF89a")
    async with show() as shown:
        await shown.press("c")
        monkeypatch.setattr(file_dialogue, "ask_in_dialogue", lambda: tmp_path / "star.gif")
        await shown.press("ctrl+o")
        await shown.until(lambda: shown.over(ComposeScreen).written.files == [tmp_path / "star.gif"])
        monkeypatch.setattr(file_dialogue, "ask_in_dialogue", refuse)
        await shown.press("ctrl+o")
        await shown.until(lambda: "no file dialogue here (there is no screen): type the path" in shown.text)


def refuse() -> None:
    raise file_dialogue.NoDialogueError("there is no screen")


# -- sizes -------------------------------------------------------------------------------------------------------------


async def test_the_panes_follow_the_size_of_the_window(show: Show) -> None:
    """Three side by side from 80 columns on; below, the one in focus with the others as tabs above it."""
    async with show() as shown:
        await shown.press("s")
        await shown.settle()
        await shown.press("2")
        for width, height, seen in ((80, 24, 3), (60, 20, 1), (30, 10, 1), (200, 60, 3), (120, 40, 3)):
            await shown.pilot.resize_terminal(width, height)
            await shown.pilot.pause()
            panes = [pane for pane in shown.app.panes if pane.display]
            assert len(panes) == seen and shown.app.panes[1] in panes
            assert all(len(row) <= width for row in shown.rows) and len(shown.rows) <= height
            view = shown.app.panes[1].stream
            assert view.scroll_offset.y == view.max_scroll_y
            assert all(len(row.text) <= max(view.room, 24) for row in view.rows if not row.text.startswith("←"))
        await shown.pilot.resize_terminal(60, 20)
        await shown.press("3")
        assert [pane.display for pane in shown.app.panes] == [False, False, True]
        assert "1 jaku.com" in shown.rows[0] and "3 client" in shown.rows[1]


async def test_a_network_of_more_servers_has_more_panes(show: Show) -> None:
    """Three at a time with tabs above them, the focused one always among them; all of them where there is room."""
    names = ("a.test", "b.test", "c.test", "d.test")
    async with show(*names) as shown:
        assert all(name in shown.rows[0] for name in (*names, "client"))
        assert [pane.display for pane in shown.app.panes] == [True, True, True, False, False]
        await shown.press("5")
        assert [pane.display for pane in shown.app.panes] == [False, False, True, True, True]
        await shown.press("s")
        await shown.settle()
        assert "accepted: vader@b.test" in shown.said(5)
        await shown.pilot.resize_terminal(200, 50)
        await shown.pilot.pause()
        assert all(pane.display for pane in shown.app.panes)


# -- a flood, and strangers --------------------------------------------------------------------------------------------


def flood(shown: Shown, lines: int, *, first: int = 0) -> None:
    for number in range(first, first + lines):
        event = Event(0.0, "send", f"NOOP {number}")
        shown.live.feed.put(Said("smtp.jaku.com", 1, "client 1", "smtp.jaku.com", (event,)))


async def test_a_flood_does_not_freeze_it(show: Show, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys are answered while lines come, more than 10,000 a second; rows stay bounded, what came too fast is
    counted, and the screen is drawn once for each look at the feed, not for each line."""
    async with show() as shown:
        over, count, drawn = threading.Event(), 0, 0
        view = shown.app.panes[0].stream
        update = view.update

        def counted(wanted: str) -> None:
            nonlocal drawn
            drawn += 1
            update(wanted)

        def pour() -> None:
            nonlocal count
            while not over.wait(0.01):
                flood(shown, 200, first=count)
                count += 200

        monkeypatch.setattr(view, "update", counted)
        thread = threading.Thread(target=pour)
        thread.start()
        try:
            while count < 10_000:
                await shown.press("2", "3", "question_mark", "escape", "1")
            assert thread.is_alive() and shown.app.panes[0].has_class("active")
            await shown.press("2")
            assert shown.app.panes[1].has_class("active")
        finally:
            over.set()
            await asyncio.to_thread(thread.join)
        while shown.live.feed._queue:
            shown.app.flush()
        assert len(view.rows) <= ROWS
        assert drawn * 20 < count
        for _ in range(3):
            flood(shown, 5_000)
        shown.app.flush()
        assert "5,000 lines came too fast for this screen" in shown.told(1)


HOSTILE = (
    b"Subject: =?utf-8?q?=1B]0;owned=07_[bold_red]title[/]_=E2=80=AEevil_[/?=\r\n"
    b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n"
    b"--x\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    b"=1B[2J=1B[31mred [link=3Dhttp://evil.test]click[/link] [@click=3Dapp.quit]x[/] =E2=80=AE=C2=9B2J=07\r\n"
    b"%b\r\n"
    b"--x\r\nContent-Type: text/html\r\nContent-Disposition: attachment;\r\n"
    b" filename*=utf-8''%%1B%%5B2J%%5Bred%%5D%%E2%%80%%AEgpj.exe\r\n\r\n<b>\x1b[2J</b>\r\n"
    b"--x--\r\n"
) % b"=\r\n".join([b"A" * 70] * 15_000)


async def test_nothing_in_a_mail_reaches_the_terminal(show: Show) -> None:
    """Escape sequences, marks that turn the direction, Textual's and Rich's markup, a line of a megabyte: all of it is
    shown as text, in the list, the conversation and on each page."""
    async with show(size=(200, 60)) as shown:
        jaku = shown.network["jaku.com"]
        with smtplib.SMTP(jaku.host, jaku.port) as client:
            client.sendmail("a@b.test", ["obiwan@jaku.com"], HOSTILE)
            client.docmd("NOOP \x1b[2J [bold]x[/bold] [/")
        await shown.settle()
        assert "[bold red]title" in shown.text and "NOOP \\x1b[2J [bold]x[/bold] [/" in shown.told(1)
        await shown.press("enter")
        wanted = {"1": "[link=http://evil.test]click[/link]", "3": "[red]", "4": "--x", "2": "Subject:", "5": "1  smtp"}
        for page, text in wanted.items():
            await shown.press(page)
            assert text in shown.text
            assert_harmless(shown.app.export_screenshot())
            assert all(row.text.isprintable() for row in shown.over(MailScreen).body.rows)
        await shown.press("1")
        assert "more characters" in "".join(row.text for row in shown.over(MailScreen).body.rows)
        assert shown.over(MailScreen).mail.page("Text")[0].text.startswith("\x1b[2J")  # it was there to be escaped
        await shown.press("escape")
        assert_harmless(shown.app.export_screenshot())
        assert all(row.text.isprintable() for pane in shown.app.panes for row in pane.stream.rows)


def assert_harmless(svg: str) -> None:
    assert not {character for character in svg if not character.isprintable()} - {"\n", "\xa0"}
    assert "\u202e" not in svg


async def test_a_server_that_wants_a_login_says_so(show: Show) -> None:
    """The panes' client has none: the refusal is shown as it was said."""
    async with show(Domain("jaku.com", auth={"luke": "secret"}, auth_required=True), "deathstar.com") as shown:
        await shown.press("s")
        await shown.settle()
        assert "530" in shown.said(3)
