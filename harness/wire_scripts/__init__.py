"""Wire scripts (``docs/dialogues.md``): what they are made of, how they are read, written, judged and played."""
