"""Counts of a recording goal's episodes, and its final message."""

from __future__ import annotations

from collections import deque
from pathlib import Path

from polytask_demo_recorder.recording.writer import Kept
from polytask_robot_io.outcomes import End

COULD_NOT_BE_USED = "could not be used and were discarded"
"""Words of the result where episodes could not have been read."""
UNUSABLE = "episodes that could not be used"
"""Name in the diagnostics of their count; the last reason stands beside it."""
REMARKS = 10
"""Episodes of which missing messages and remarks are told at the end: the last ones."""


class Tally:
    """Counts the attempts of one goal."""

    def __init__(self) -> None:
        """Nothing so far."""
        self.files: list[Path] = []
        self.failed = 0
        """Attempts that ended without success and were thrown away."""
        self.unusable = 0
        """Attempts that nobody could have read."""
        self._why = ""
        self._missing: deque[str] = deque(maxlen=REMARKS)
        self._remarks: deque[str] = deque(maxlen=REMARKS)

    def keep(self, event: Kept) -> None:
        """An episode is on the disk."""
        self.files.append(event.path)
        if event.info.missing:
            lost = ", ".join(f"{topic} {count}" for topic, count in event.info.missing.items())
            self._missing.append(f"{event.path.name}: {lost}")
        if event.remarks:
            self._remarks.append(f"{event.path.name}: {'; '.join(event.remarks)}")

    def refuse(self, reason: str) -> None:
        """An episode could not be used."""
        self.unusable += 1
        self._why = reason

    def tell(self, final: End, asked: int) -> End:
        """The end of the goal, with all that is to be said of it; ``asked``: how many episodes were wanted."""
        where = f" in {self.files[0].parent}" if self.files else ""
        parts = [final.message, f"{len(self.files)} of {asked} episodes recorded{where}"]
        if self.failed:
            parts.append(f"{self.failed} failed and were discarded")
        if self.unusable:
            parts.append(f"{self.unusable} {COULD_NOT_BE_USED}, the last because: {self._why}")
        if self._missing:
            parts.append(f"messages are missing: {'; '.join(self._missing)}")
        if self._remarks:
            parts.append(f"remarks: {'; '.join(self._remarks)}")
        return End(final.outcome, "; ".join(part for part in parts if part))
