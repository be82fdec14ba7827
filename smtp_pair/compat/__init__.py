"""Other tools' fixtures, served by this package: for a suite that is on its way from them to ``mail_pair``.

    pytest_plugins = ["smtp_pair.compat.smtpdfix"]            # in the top conftest.py: the fixture ``smtpd``
    pytest_plugins = ["smtp_pair.compat.pytest_localserver"]  # ``smtpserver``

Nothing here is loaded unless it is asked for. docs/migrating.md says what each call becomes in the end.
"""
