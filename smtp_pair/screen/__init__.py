"""What people see while servers run: labelled, coloured lines, or panes side by side.

``lines`` is who says what: folded to the terminal's width, and nothing that a mail could do to the terminal.
``console`` is what happened on a server, as such lines. ``problems`` is what is logged, as such lines too.
``panes`` needs a terminal and the extra ``tui``.
"""
