"""What learning refuses."""

from __future__ import annotations

from pathlib import Path


class ResumeError(Exception):
    """The folder holds the training of something else; says what differs and what to do."""


def other_training(folder: Path) -> ResumeError:
    """Say that a folder is taken."""
    return ResumeError(
        f"{folder} holds a training with other settings or demonstrations: choose another output folder, or "
        "delete this one to start afresh"
    )
