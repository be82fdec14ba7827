"""A report card of a mail server: what each rule wants, what came, and whether that is it (``harness/check.py``)."""
