"""Panes over real servers, driven by Textual's own pilot: for tests/panes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from textual.pilot import Pilot

from harness.panes_picture import rows
from harness.processes import PATIENCE
from smtp_pair import Network
from smtp_pair.screen.panes.app import PanesApp
from smtp_pair.screen.panes.feed import Feed
from smtp_pair.screen.panes.live import Live
from smtp_pair.screen.panes.widgets import MailList

S = TypeVar("S")


@dataclass
class Shown:
    """Panes that stand, and what they show."""

    app: PanesApp
    pilot: Pilot[None]
    network: Network
    live: Live

    async def press(self, *keys: str) -> None:
        for key in keys:
            await self.pilot.press(key)
        await self.pilot.pause()

    async def write(self, text: str) -> None:
        names = {" ": "space", "@": "at", ".": "full_stop", ",": "comma", "/": "slash", "_": "underscore"}
        await self.press(*(names.get(character, character) for character in text))

    async def settle(self) -> None:
        """Wait until the client has done and no mail moves, and draw that."""
        for thread in threading.enumerate():
            if thread.name == "smtp-pair client":
                await asyncio.to_thread(thread.join)
        await asyncio.to_thread(self.network.settle)
        await self.draw()

    async def draw(self) -> None:
        await asyncio.to_thread(self.live.look)
        self.app.flush()
        await self.pilot.pause()

    async def until(self, holds: Callable[[], object]) -> None:
        """Let the screen go on until that is so."""
        async with asyncio.timeout(PATIENCE):
            while not holds():
                await self.pilot.pause()

    def mails(self, number: int) -> MailList:
        """The list of mails of a server's pane."""
        mails = self.app.panes[number - 1].mails
        assert mails is not None
        return mails

    def over(self, kind: type[S]) -> S:
        """What lies over the panes."""
        screen: object = self.app.screen
        assert isinstance(screen, kind)
        return screen

    @property
    def rows(self) -> list[str]:
        """The screen's text."""
        return rows(self.app.export_screenshot())

    @property
    def text(self) -> str:
        return "\n".join(self.rows)

    def said(self, number: int) -> str:
        """All that the stream of a pane has, seen or not."""
        return "\n".join(row.text for row in self.app.panes[number - 1].stream.rows)

    def told(self, number: int) -> str:
        """The same in one line, however it is folded."""
        return " ".join(self.said(number).split())


Show = Callable[..., AbstractAsyncContextManager[Shown]]


@asynccontextmanager
async def shown(*domains: Any, size: tuple[int, int] = (120, 40), **more: Any) -> AsyncIterator[Shown]:
    """Start servers, and panes for them; jaku.com and deathstar.com where nothing else is said."""
    feed = Feed()
    network = Network(*(domains or ("jaku.com", "deathstar.com")), **more)
    network.subscribe(feed.put)
    with network:
        live = Live(network, feed)
        with live.watched():
            app = PanesApp(live)
            async with app.run_test(size=size) as pilot:
                await pilot.pause()
                yield Shown(app, pilot, network, live)
