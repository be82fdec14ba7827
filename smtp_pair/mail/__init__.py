"""What travels: addresses, replies, envelopes, trace fields, attachments, delivered mails.

Values only. Nothing in this room opens a socket, touches a disk, reads a clock or knows asyncio, and nothing in it
imports another room of the package.
"""
