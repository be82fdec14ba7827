"""The report as a person meets it: in a real browser, wide and narrow, light and dark, with a keyboard, without script;
and what a mail may do there, which is nothing."""

from __future__ import annotations

import smtplib
from collections.abc import Callable
from pathlib import Path

import pytest

from smtp_pair import Pair
from smtp_pair.report import reading
from smtp_pair.report.page import render
from smtp_pair.report.run import MailSeen, Run, Test
from tests.report.conftest import AXE, INSTALL, PICTURES, Looked, Theme, trap
from tests.report.hostile import TRAP, mails

LookAt = Callable[..., Looked]

SUITE = """
import smtplib
from smtp_pair.clients import samples, scripted

HTML = (
    b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\\r\\nContent-Type: multipart/alternative; boundary=x\\r\\n\\r\\n"
    b"--x\\r\\n\\r\\n"
    b"Your order is on its way.\\r\\n--x\\r\\nContent-Type: text/html; charset=utf-8\\r\\n\\r\\n"
    b"<h1 style='color:#0a7'>Hello</h1><p>Your <b>order</b> is on its way.</p>\\r\\n--x--\\r\\n"
)

def test_three_worlds(mail_pair):
    scripted.send(scripted.ScriptedMail(attachments=[*samples.files()]), mail_pair.jaku.host, mail_pair.jaku.port)
    mail_pair.deathstar.wait_for()
    with smtplib.SMTP(mail_pair.jaku.host, mail_pair.jaku.port) as client:
        client.sendmail("shop@jaku.com", ["vader@deathstar.com"], HTML)
    mail_pair.deathstar.wait_for(subject="Gr\\u00fc\\u00dfe")

def test_waits_in_vain(mail_pair):
    mail_pair.jaku.send("vader@deathstar.com", subject="Plans")
    mail_pair.deathstar.wait_for(subject="Plans")
    mail_pair.deathstar.wait_for(subject="Invoice", timeout=0.05)

def test_gets_through_in_the_end(mail_network):
    network = mail_network("a.test", "b.test", clock="manual", routes={"dead.test": "127.0.0.1:9"})
    network["b.test"].faults.reject("RCPT", "451 4.3.0 not now", times=3)
    network["a.test"].send(["ann@b.test", "you@dead.test"], subject="Later", sender="me@a.test")
    network.clock.advance(minutes=5)
    assert network["b.test"].wait_for(to="ann@b.test")

def test_without_mail():
    pass
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """That of a run with a failure, a fault, retries, pictures, HTML; made once."""
    import subprocess
    import sys

    folder = tmp_path_factory.mktemp("run")
    (folder / "test_of_a_shop.py").write_text(SUITE, "utf-8")
    (folder / "pytest.ini").write_text("[pytest]\n", "utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "2", "--mail-report=mail.html"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout  # one test fails
    return folder / "mail.html"


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1280])
def test_it_fits_and_keeps_to_itself(report: Path, look: LookAt, width: int, theme: Theme) -> None:
    """Nothing is wider than the window, folded or not; nothing is asked for, nothing complained of. The pictures are
    for people: test-results/report/ of the checkout."""
    looked = look(report, width=width, theme=theme)
    PICTURES.mkdir(parents=True, exist_ok=True)
    looked.settle()
    looked.page.screenshot(path=PICTURES / f"folded-{width}-{theme}.png", full_page=True)
    looked.unfold()
    for number, _ in enumerate(looked.each_tab()):
        looked.settle()
        wide = looked.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"tab {number}"
        if number in (0, 3):
            looked.page.screenshot(path=PICTURES / f"unfolded-{number}-{width}-{theme}.png", full_page=True)
    assert looked.misdeeds == []


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1280])
def test_axe_finds_no_serious_fault(report: Path, look: LookAt, width: int, theme: Theme) -> None:
    """axe-core, every rule that it has, with all unfolded and in each tab."""
    if not AXE.is_file():
        pytest.skip(f"there is no axe-core here; {INSTALL}")
    looked = look(report, width=width, theme=theme)
    looked.page.evaluate(AXE.read_text("utf-8"))  # not as an element: the page's own policy would not let it in
    looked.unfold()
    found = set()
    for _ in looked.each_tab():
        result = looked.page.evaluate("axe.run(document, {resultTypes: ['violations'], iframes: false})")
        found |= {
            f"{fault['impact']}: {fault['id']}: {fault['nodes'][0]['html'][:200]} ({len(fault['nodes'])})"
            for fault in result["violations"]
            if fault["impact"] in ("serious", "critical")
        }
    assert sorted(found) == []


def test_it_works_with_a_keyboard_alone(report: Path, look: LookAt) -> None:
    """Tab goes from one thing to the next, Enter unfolds a mail, arrows go from tab to tab."""
    page = look(report).page
    mail = page.locator("details.test[open] details.mail").first
    summary, tabs = mail.locator("summary").first, mail.locator(".tabs > input")
    for _ in range(200):
        page.keyboard.press("Tab")
        if summary.evaluate("one => one === document.activeElement"):
            break
    page.keyboard.press("Enter")
    assert mail.evaluate("one => one.open")
    page.keyboard.press("Tab")
    assert tabs.nth(0).evaluate("one => one === document.activeElement")
    page.keyboard.press("ArrowRight")
    assert tabs.nth(1).is_checked()
    assert [mail.locator(".panel").nth(number).is_visible() for number in (0, 1)] == [False, True]


def test_it_works_without_script(report: Path, look: LookAt) -> None:
    """Folds, tabs, and the choice of tests: all of it is HTML and CSS."""
    page = look(report, script=False).page
    tests = page.locator("details.test")
    assert tests.count() == 3
    passed = tests.filter(has_text="test_three_worlds")
    passed.locator("summary").first.click()
    mail = passed.locator("details.mail").first
    mail.locator("summary").first.click()
    mail.locator("label", has_text="Attachments").click()
    assert mail.locator("img").first.is_visible()
    assert "jaku.jpeg" in mail.locator(".panel").nth(3).inner_text()
    page.locator("label", has_text="failed 1").click()
    assert [tests.nth(number).is_visible() for number in range(3)] == [True, False, False]


def test_a_screen_reader_is_told_of_every_drawing(report: Path, look: LookAt) -> None:
    """Each has a title; each frame and each part that scrolls has a name."""
    looked = look(report)
    looked.unfold()
    unnamed = looked.page.evaluate(
        """() => [
            ...[...document.querySelectorAll('svg[role=img]')].filter(one => !one.querySelector(':scope>title')),
            ...[...document.querySelectorAll('svg:not([role=img]):not([aria-hidden=true])')],
            ...[...document.querySelectorAll('iframe:not([title]), [role=region]:not([aria-label])')],
        ].map(one => one.outerHTML.slice(0, 200))"""
    )
    assert unnamed == []


# -- hostile mails -----------------------------------------------------------------------------------------------------


def test_the_set_is_large_enough() -> None:
    """At least forty tricks, each one once."""
    names = [mail.name for mail in mails(TRAP)]
    assert len(set(names)) == len(names) >= 40


def test_hostile_mails_do_nothing(look: LookAt, tmp_path: Path) -> None:
    """Each trick, in each tab, with everything unfolded, pointed at and clicked: nothing runs, nobody is called,
    nothing is complained of, and no markup of a mail becomes a part of the page."""
    with trap() as trapped:
        file = _report_of_hostile_mails(tmp_path, trapped.address)
        looked = look(file)
        looked.unfold()
        for _ in looked.each_tab():
            looked.settle()
        page = looked.page
        assert page.evaluate("window.pwned === undefined")
        strange = "script, object, embed, form, link, base, [onerror], [onload], [onmouseover], template"
        assert page.locator(strange).count() == 0
        frames = page.frames[1:]
        assert len(frames) >= 40
        assert page.evaluate(
            "[...document.querySelectorAll('iframe')].every(one => one.getAttribute('sandbox') === '')"
        )
        for frame in frames:
            assert frame.locator(f"{strange}, meta[http-equiv=refresh], [href], iframe, svg, video, audio").count() == 0
        assert looked.misdeeds == []
        assert trapped.visitors == []


def test_the_fences_hold_one_without_the_other(look: LookAt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the filter, the sandbox and the policies still let nothing run and nothing be fetched (that a browser
    complains of it then is what it is there for)."""
    monkeypatch.setattr("smtp_pair.report.body_filter.harmless_body", lambda html, pictures: html)
    with trap() as trapped:
        # Frames within frames that a policy keeps from loading never are what Playwright calls loaded.
        looked = look(_report_of_hostile_mails(tmp_path, trapped.address), loads=False)
        looked.unfold()
        for _ in looked.each_tab():
            looked.settle()
        assert looked.page.evaluate("window.pwned === undefined")
        assert looked.others == []
        assert [visit for visit in trapped.visitors if visit] == []  # an open connection is all that "preconnect" gets


def _report_of_hostile_mails(folder: Path, address: str) -> Path:
    hostiles = list(mails(address))
    with Pair(directory=folder / "data") as pair:
        for hostile in hostiles:
            with smtplib.SMTP(pair.jaku.host, pair.jaku.port) as client:
                client.ehlo("x")
                client.docmd(f"MAIL FROM:<{hostile.sender}>")
                client.docmd(f"RCPT TO:<{hostile.recipient}>")
                client.docmd("RCPT TO:<luke@jaku.com>")
                client.data(hostile.content)
        assert len(pair.jaku.messages) == len(hostiles)
        pair.settle()
    file = folder / "mail.html"
    run = reading.run(folder / "data", folder)
    file.write_text(render(run), "utf-8")
    return file


# -- many --------------------------------------------------------------------------------------------------------------


def test_ten_thousand_mails_stay_usable(look: LookAt, tmp_path: Path) -> None:
    """Those beyond the limit are rows, which name their files; the page stays small enough to open and scroll."""
    body = b"Subject: Offer\r\nContent-Type: text/html\r\n\r\n<p>" + b"word " * 20_000
    mails = tuple(
        MailSeen(
            "smtp.a.test", f"1-2-{number}", 1.0 + number, "shop@a.test", ("ann@a.test",), f"Offer {number}", len(body),
            f"mails/{number}.eml", lambda: body,
        )
        for number in range(10_000)
    )  # fmt: skip
    file = tmp_path / "mail.html"
    file.write_text(render(Run("Many", (Test("many", "passed", mails=mails),))), "utf-8")
    assert file.stat().st_size < 60 << 20
    looked = look(file)
    page = looked.page
    page.locator("summary", has_text="Mails 9,9").last.click()
    assert "mails/9999.eml" in page.content()
    page.get_by_text("Offer 9999", exact=True).scroll_into_view_if_needed()
    assert page.get_by_text("Offer 9999", exact=True).is_visible()
    assert looked.misdeeds == []


def test_hundreds_of_tests_stay_usable(look: LookAt, report: Path, tmp_path: Path) -> None:
    """Each one folded, each to be opened."""
    one = reading.run(next(report.parent.glob("test-results/*three_worlds*")), tmp_path).tests[0]
    tests = tuple(Test(f"test_{number}", "passed", sessions=one.sessions, facts=one.facts) for number in range(600))
    file = tmp_path / "mail.html"
    file.write_text(render(Run("Many", tests)), "utf-8")
    assert file.stat().st_size < 60 << 20
    page = look(file).page
    page.locator("#t600 > summary").click()
    assert page.locator("#t600 svg.sequence").is_visible()


def test_a_failure_has_its_report_beside_the_transcript(look: LookAt, report: Path) -> None:
    """One test, unfolded, that names its files as they lie beside it."""
    [file] = report.parent.glob("test-results/*/mail.html")
    looked = look(file)
    assert "What the wait was looking for" in looked.page.locator("details.test[open]").inner_text()
    looked.page.locator("details.mail summary").first.click()
    link = looked.page.locator(".mail .file a").first.get_attribute("href")
    assert (file.parent / link).is_file()
    assert looked.misdeeds == []
