"""The servers side by side, live, and the client beside them (extra ``tui``).

    live.py       a running network: facts and words into the feed, mails out of it, the client's sending
      -> feed.py      one queue between the servers' thread and the screen's, with a limit
      -> model.py     what each pane has to show, as values; stream.py: what was said, folded into rows. Pure
      -> app.py       the screen (Textual): widgets.py, dialogs.py; mail_view.py: the pages of a mail, as lines

The screen draws from the model at a steady pace, however fast things happen. What comes from mails is escaped where it
becomes rows (``screen/lines.py``), and rows are never read as markup.
"""
