"""What people run: the scripted client and the interactive one.

    message       a draft (people, title, text, attachments) and the mail that is made of it
    conversation  takes a mail to a server, shows the conversation, and says what became of each recipient
    quick         a mail in one call, for tests
    scripted      one mail to three recipients in three domains, with three attachments
    interactive   asks for the mail, piece by piece
    file_dialogue a file picked in a dialogue, or at a path prompt with completion
    samples       the three attachments: small real files

Only the standard library is used here; ``smtplib`` speaks, because its ``send:`` and ``reply:`` lines are what people
know.
"""
