"""Errors about recordings. Each message says what is wrong, where, and what to do."""

from __future__ import annotations


class RecordingError(ValueError):
    """A recording that cannot be written or read."""


class DatasetError(RecordingError):
    """A recorded episode, or a folder of them, that cannot be used."""
