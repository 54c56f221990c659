"""Looks, off the control path, whether the served checkpoint was replaced, and loads the new one."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from polytask_policy.checkpoint import META_FILE

PERIOD = 0.5
"""s between two looks at a file of some kB."""

Stamp = tuple[int, int, int] | None


class CheckpointWatch:
    """A thread that loads the checkpoint of a folder whenever its JSON, which is replaced in one step, is another.

    A replacement that could not be loaded is told once; the next one is tried again.
    """

    def __init__(
        self,
        folder: Path,
        load: Callable[[Path], Any],
        on_loaded: Callable[[Path, Any], None],
        on_failed: Callable[[Path, str], None],
    ) -> None:
        """Take the checkpoint that is in ``folder`` now as known, and watch from :meth:`start` on.

        Create it before the first checkpoint is loaded: a replacement meanwhile is then noticed. ``load`` raises
        where it cannot be used. The callbacks are called in the thread.
        """
        self._load, self._on_loaded, self._on_failed = load, on_loaded, on_failed
        self._folder, self._known = folder, stamp(folder)
        self._changed, self._stopped = threading.Event(), False
        # A daemon: a large checkpoint that is being loaded must not hold up the end of the program.
        self._thread = threading.Thread(target=self._watch, name="checkpoint", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def follow(self, folder: Path) -> None:
        """Load the checkpoint of another folder, and watch that one from now on; returns at once."""
        self._folder, self._known = folder, None
        self._changed.set()

    def stop(self) -> None:
        """End the thread; returns at once."""
        self._stopped = True
        self._changed.set()

    def _watch(self) -> None:
        while True:
            self._changed.wait(PERIOD)
            self._changed.clear()
            if self._stopped:
                return
            folder, known = self._folder, self._known
            now = stamp(folder)
            if now is None or now == known:
                continue
            self._known = now  # before loading: what comes during it is tried next
            try:
                loaded = self._load(folder)
            except ValueError as error:
                self._on_failed(folder, str(error))
            except Exception as error:  # whatever a damaged file leads to, the policy that is served goes on
                self._on_failed(folder, f"{type(error).__name__}: {error}")
            else:
                self._on_loaded(folder, loaded)


def stamp(folder: Path) -> Stamp:
    """What tells one checkpoint of a folder from the next without reading it; None where there is none."""
    try:
        status = os.stat(folder / META_FILE)
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
