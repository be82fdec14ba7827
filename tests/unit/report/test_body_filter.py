"""What is left of a mail's HTML."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from smtp_pair.report.body_filter import frame, harmless_body

PICTURE = "data:image/png;base64,iVBORw0KGgo="


@pytest.mark.parametrize(
    ("html", "left"),
    [
        ("<p>Hello <b>you</b>", "<p>Hello <b>you</b>"),
        ("a &lt; b &amp; c", "a &lt; b &amp; c"),
        ('<p style="color:red;background:url(x)">x</p>', '<p style="color:red">x</p>'),
        ('<p style="background:u\\72l(x);color:red">x</p>', '<p style="color:red">x</p>'),
        ('<a href="https://example.org/?a=1&b=2">x</a>', '<a title="https://example.org/?a=1&amp;b=2">x</a>'),
        ("a<script>b</script>c", "ac"),
        ("a<svg><p>b</p></svg>c", "ac"),
        ('<table bgcolor="#fff" onclick="x"><tr><td colspan=2>x', '<table bgcolor="#fff"><tr><td colspan="2">x'),
        ("<style>p{color:red} @import 'x'; q{background:url(y)} b{color:blue}</style>", "<style>p{color:red}  q{"),
        ("<blink>x</blink>", "x"),
        ('<img src="cid:logo" alt="Logo">', f'<img src="{PICTURE}" alt="Logo">'),
        (f'<img src="{PICTURE}">', f'<img src="{PICTURE}" alt="">'),
        ('<img src="https://example.org/x.png">', "<small>[a picture that is not in the mail]</small>"),
        ('<img src="data:image/svg+xml;base64,AAAA">', "<small>[a picture that is not in the mail]</small>"),
    ],
)
def test_what_is_looked_at_stays(html: str, left: str) -> None:
    """Words, structure, colours, the mail's own pictures; addresses to be read; nothing that runs or fetches."""
    assert harmless_body(html, {"logo": PICTURE}).startswith(left)


@given(st.text(alphabet=st.sampled_from("<>/!-[]\"'=&;: \0\nabcdefgimnoprstuvxy\\@(){}#"), max_size=200))
@example("<![if")
@example("<!a")
@example("<![CDATA[")
def test_anything_gives_harmless_html(html: str) -> None:
    """It never raises; what comes out comes out the same again, but for how a text is written."""
    once = harmless_body(html, {})
    assert "<script" not in once.lower()
    assert harmless_body(once, {}).count("<") <= once.count("<") + 1


@pytest.mark.parametrize("end", ["", ">", '">'])
@pytest.mark.parametrize(
    "piece", ["<", "<a ", "<!--", "<!-->", "<p><b>", "&", "<svg>", "</", "<style>", "<![", '<p a="']
)
def test_long_rubbish_is_read_once(piece: str, end: str) -> None:
    """As much of it as is looked at: the parser is not led into looking for the end of a tag from each "<" to the last
    character, which takes ten thousand times as long as as much plain HTML."""
    size = 100 << 10
    assert _cost((piece * size)[:size] + end) < 200 * _cost(("<p>x</p>" * size)[:size])


def _cost(html: str) -> float:
    began = time.process_time()
    harmless_body(html, {})
    return time.process_time() - began


def test_the_frame_has_a_policy_of_its_own() -> None:
    """Before anything that the mail says."""
    made = frame("<p>Hello", {})
    assert 0 < made.index("Content-Security-Policy") < made.index("<p>Hello")
