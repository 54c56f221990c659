"""Errors about incoming data. Each message says what is wrong, where, and what to do."""

from __future__ import annotations


class BadEmbodiment(ValueError):
    """An embodiment file that cannot be used."""


class BadMessage(ValueError):
    """A message that cannot be used; the receiver drops it, counts it and goes on."""


class BadCommand(ValueError):
    """A command that must not be applied."""
