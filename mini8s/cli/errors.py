"""What a command says when it can't do what was asked: one sentence, exit code 1."""

from __future__ import annotations


class CommandError(Exception):
    """Something a person can act on; the message is the sentence to print."""
