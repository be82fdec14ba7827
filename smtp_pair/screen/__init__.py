"""What people see while servers run: labelled, coloured lines.

``lines`` is who says what: folded to the terminal's width, and nothing that a mail could do to the terminal.
``console`` is what happened on a server, as such lines.
"""
