"""Text from outside, such as a client's goal or a name in a message, made fit for logs and diagnostics."""

from __future__ import annotations

from collections.abc import Iterable

LIMIT = 500
"""Characters of foreign text that are shown where nothing else is said."""


def printable(text: str, limit: int = LIMIT) -> str:
    """The text on one line: at most ``limit`` characters of it, those that do not print (escape sequences, line ends,
    marks that turn the direction of writing, halves of surrogate pairs) written as Python escapes them.
    """
    shown = "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text[:limit])
    return shown if len(text) <= limit else f"{shown}… ({len(text)} characters)"


def repeated(names: Iterable[str]) -> str:
    """The first name that comes a second time; empty when none does."""
    seen = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return ""
