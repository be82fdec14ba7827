"""A mail's HTML, without what could run, fetch or lead anywhere: what is left is what people look at. Pure.

It is one of three fences: the frame that it is shown in is sandboxed without any allowance, and a policy in the frame
and in the page lets nothing but pictures out of the page itself in. Tags and attributes that are not known to be
harmless are left out; so are styles that name an address, in whatever disguise.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape
from html.parser import HTMLParser

_SHOWN_TAGS = (
    "a abbr address article aside b bdi bdo big blockquote br caption center cite code col colgroup dd del dfn div dl "
    "dt em figcaption figure font footer h1 h2 h3 h4 h5 h6 header hr i img ins kbd li main mark nav ol p pre q s samp "
    "section small span strike strong sub sup table tbody td tfoot th thead tr tt u ul wbr"
)
_VOID = frozenset(("br", "col", "hr", "img", "wbr"))
_UNSHOWN_TAGS = (
    "applet audio button canvas datalist frameset iframe math noembed noframes noscript object script select svg "
    "template textarea title video xmp"
)
_SHOWN_ATTRIBUTES = (
    "align alt bgcolor border cellpadding cellspacing color cols colspan dir face height lang nowrap rowspan size span "
    "start style title valign width"
)
_SHOWN = frozenset(_SHOWN_TAGS.split())
_UNSHOWN = frozenset(_UNSHOWN_TAGS.split())
"""What is left out with all that is in it."""
_ATTRIBUTES = frozenset(_SHOWN_ATTRIBUTES.split())
_PICTURE = re.compile(r"data:image/(png|jpeg|gif|webp);base64,[A-Za-z0-9+/=\s]+")
_COMMENT = re.compile(r"/\*.*?(\*/|$)", re.DOTALL)
_IMPORT = re.compile(r"@import[^;]*(;|$)", re.IGNORECASE)
_ADDRESS = re.compile(r"url\([^()\\]*\)", re.IGNORECASE)
# An escape may spell any of the words.
_REACHES_OUT = re.compile(r"\\|url|src|image|import|font-face|namespace|expression|binding|behavior|<", re.IGNORECASE)

_ABSENT = "<small>[a picture that is not in the mail]</small>"

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'"


def frame(html: str, pictures: Mapping[str, str]) -> str:
    """The document for the frame. ``pictures`` are those that the mail brought with it, by Content-ID, as ``data:``
    addresses."""
    return (
        '<!doctype html><html lang=""><head><meta charset="utf-8"><title>mail</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        "<style>html{color-scheme:light;background:#fff;color:#111}body{margin:12px;font:15px/1.5 sans-serif;"
        "overflow-wrap:anywhere}img{max-width:100%;height:auto}</style></head><body>"
        f"{harmless_body(html, pictures)}</body></html>"
    )


def harmless_body(html: str, pictures: Mapping[str, str]) -> str:
    """The HTML with nothing but what is shown."""
    filter_ = _Filter(pictures)
    # What no ">" follows is no tag, and the parser would look for its end from each "<" to the last character.
    end = html.rfind(">") + 1
    try:
        filter_.feed(html[:end].replace("\0", "") + html[end:].replace("\0", "").replace("<", "&lt;"))
        filter_.close()
    except (AssertionError, ValueError, NotImplementedError):  # its way to say of a declaration that it is none
        filter_.kept.append("<p>[the rest can't be read as HTML]</p>")
    return "".join(filter_.kept)


class _Filter(HTMLParser):
    def __init__(self, pictures: Mapping[str, str]) -> None:
        super().__init__(convert_charrefs=True)
        self._pictures = pictures
        self.kept: list[str] = []
        self._hidden: list[str] = []
        self._style: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _UNSHOWN:
            self._hidden.append(tag)
        elif self._hidden:
            return
        elif tag == "style":
            self._style = []
        elif tag in _SHOWN:
            attributes = self._attributes(tag, attrs)
            self.kept.append(_ABSENT if tag == "img" and " src=" not in attributes else f"<{tag}{attributes}>")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _UNSHOWN:  # in HTML the slash means nothing: <script/> is open all the same
            self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if self._hidden:
            if tag in self._hidden:
                del self._hidden[self._hidden.index(tag) :]
        elif tag == "style":
            if self._style is not None:
                self.kept.append(f"<style>{_harmless_sheet(''.join(self._style))}</style>")
            self._style = None
        elif tag in _SHOWN and tag not in _VOID:
            self.kept.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        if self._style is not None:
            self._style.append(data)
        elif not self._hidden:
            self.kept.append(escape(data))

    def _attributes(self, tag: str, attrs: list[tuple[str, str | None]]) -> str:
        kept: dict[str, str] = {}
        for name, value in attrs:
            if name in _ATTRIBUTES and value is not None:
                kept.setdefault(name, _harmless_style(value) if name == "style" else value)
            elif name == "src" and tag == "img" and value is not None:
                picture = self._picture(value.strip())
                if picture:
                    kept["src"] = picture
            elif name == "href" and value is not None:  # where it leads is to be read, not to be followed
                kept.setdefault("title", value)
        if tag == "img":
            kept.setdefault("alt", "")
        return "".join(f' {name}="{escape(value)}"' for name, value in kept.items())

    def _picture(self, address: str) -> str:
        if address[:4].lower() == "cid:":
            return self._pictures.get(address[4:], "")
        return address if _PICTURE.fullmatch(address) else ""


def _harmless_style(declarations: str) -> str:
    return ";".join(one for one in _COMMENT.sub("", declarations).split(";") if not _REACHES_OUT.search(one))


def _harmless_sheet(sheet: str) -> str:
    plain = _ADDRESS.sub("none", _IMPORT.sub("", _COMMENT.sub("", sheet)))
    if not _REACHES_OUT.search(plain):
        return plain
    # What is left of it may still be most: rule by rule.
    return "}".join(one for one in plain.split("}") if not _REACHES_OUT.search(one)) + "}"
