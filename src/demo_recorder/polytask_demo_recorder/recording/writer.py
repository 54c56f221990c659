"""The threads that write episodes and read them back, so that a slow disk stalls nobody who listens to topics."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from polytask_demo_recorder.dataset.episode_info import EpisodeInfo
from polytask_demo_recorder.dataset.folder import remedy
from polytask_demo_recorder.dataset.reader import check_episode
from polytask_demo_recorder.errors import DatasetError, RecordingError
from polytask_demo_recorder.recording.episode_file import EpisodeFile
from polytask_demo_recorder.recording.recovery import Recovery, recover

SYNC_PERIOD = 0.2
"""Seconds between two forced writes; with the write itself this keeps a crash from costing more than half a second."""
BACKLOG = 256 << 20
"""Bytes that may wait to be written; beyond it messages are dropped, and counted."""
OVERHEAD = 512
"""Bytes that a waiting message takes beside its data."""


@dataclass(frozen=True)
class Kept:
    """An episode is complete on the disk."""

    path: Path
    info: EpisodeInfo
    remarks: tuple[str, ...] = ()
    """What its reader leaves out or mends."""


@dataclass(frozen=True)
class Discarded:
    """An episode was thrown away."""

    reason: str = ""
    """Why nobody could have read it; empty where that was not asked."""


@dataclass(frozen=True)
class Failed:
    """The disk refused. What was written stays for the next start to recover; the writer waits for the next episode."""

    reason: str


Event = Kept | Discarded | Failed | Recovery


@dataclass(frozen=True)
class _Open:
    folder: Path
    info: EpisodeInfo
    types: Mapping[str, str]


@dataclass(frozen=True)
class _Close:
    info: EpisodeInfo | None
    dropped: tuple[str, ...]


@dataclass(frozen=True)
class _Recover:
    dataset: Path


_Message = tuple[str, int, int, bytes]
_STOP = object()


class EpisodeWriter:
    """Does what it is told in order, in threads of its own. No method waits for the disk but :meth:`stop`."""

    def __init__(self, backlog: int = BACKLOG) -> None:
        """``backlog``: see :data:`BACKLOG`."""
        self._limit = backlog
        self._orders: queue.SimpleQueue = queue.SimpleQueue()
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._waiting = 0
        self._file: EpisodeFile | None = None
        self._folder = Path()
        self._told: set[str] = set()
        self.slowest_sync = 0.0
        """Seconds the slowest forced write took."""
        self.slowest_check = 0.0
        """Seconds the slowest reading back took."""
        self._thread = threading.Thread(target=self._run, name="episode_writer", daemon=True)
        self._complete: queue.SimpleQueue[tuple[EpisodeFile, EpisodeInfo, tuple[str, ...]] | None] = queue.SimpleQueue()
        self._judging = threading.Thread(target=self._judge, name="episode_judge", daemon=True)
        self._judging.start()
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Bytes that wait to be written."""
        return self._waiting

    def recover(self, dataset: Path) -> None:
        """Recover what a killed recorder left in a dataset; one :class:`Recovery` event for each file."""
        self._orders.put(_Recover(dataset))

    def open(self, folder: Path, info: EpisodeInfo, types: Mapping[str, str]) -> None:
        """Begin an episode; see :class:`EpisodeFile`."""
        self._orders.put(_Open(folder, info, types))

    def write(self, topic: str, log_time: int, publish_time: int, data: bytes) -> bool:
        """Add a message to the episode; false when it had to be dropped because the disk is too slow."""
        with self._lock:
            if self._waiting + len(data) + OVERHEAD > self._limit:
                return False
            self._waiting += len(data) + OVERHEAD
        self._orders.put((topic, log_time, publish_time, data))
        return True

    def close(self, info: EpisodeInfo | None, dropped: tuple[str, ...] = ()) -> None:
        """Complete the episode with its final description, or discard it (``None``).

        The complete file is read back; one that the reader refuses is discarded. ``dropped``: what was not even
        written, in words, to be told beside the reader's remarks.
        """
        self._orders.put(_Close(info, dropped))

    def events(self) -> list[Event]:
        """What has happened since the last call."""
        found = []
        while True:
            try:
                found.append(self._events.get_nowait())
            except queue.Empty:
                return found

    def stop(self, timeout: float = 3.0) -> None:
        """Write what waits, read it back, and end; at most ``timeout`` seconds. The rest is left to be recovered."""
        until = time.monotonic() + timeout
        self._orders.put(_STOP)
        for thread in (self._thread, self._judging):
            thread.join(max(0.0, until - time.monotonic()))

    def _run(self) -> None:
        due = 0.0
        while True:
            if self._file is None:
                order = self._orders.get()
                due = time.monotonic() + SYNC_PERIOD
            else:
                try:
                    order = self._orders.get(timeout=max(0.0, due - time.monotonic()))
                except queue.Empty:
                    order = None
            if order is _STOP:
                break
            try:
                if order is not None:
                    self._do(order)
                if self._file is not None and time.monotonic() >= due:
                    began = time.monotonic()
                    self._file.sync()
                    self.slowest_sync = max(self.slowest_sync, time.monotonic() - began)
                    due = time.monotonic() + SYNC_PERIOD
            except Exception as error:  # whatever it is, whoever waits for this thread has to hear of it
                self._fail(error)
        if self._file is not None:
            self._file.abandon()
        self._complete.put(None)

    def _do(self, order: object) -> None:
        if isinstance(order, tuple):
            message: _Message = order
            with self._lock:
                self._waiting -= len(message[3]) + OVERHEAD
            if self._file is not None:
                self._file.write(*message)
        elif isinstance(order, _Open):
            self._folder = order.folder
            self._file = EpisodeFile(order.folder, order.info, order.types)
        elif isinstance(order, _Close):
            self._close(order)
        elif isinstance(order, _Recover):
            for recovery in recover(order.dataset):
                if recovery.error or recovery.foreign:  # it stays; told once
                    if str(recovery) in self._told:
                        continue
                    self._told.add(str(recovery))
                self._events.put(recovery)

    def _close(self, order: _Close) -> None:
        if self._file is None:
            return  # it failed; that has been reported
        file, self._file = self._file, None
        if order.info is None:
            file.discard()
            self._events.put(Discarded())
        else:
            file.complete(order.info)
            self._complete.put((file, order.info, order.dropped))

    def _judge(self) -> None:
        """Read back what is complete, so that the next episode need not wait for it."""
        while (found := self._complete.get()) is not None:
            file, info, dropped = found
            began = time.monotonic()
            try:
                remarks = check_episode(file.path)
                event: Event = Kept(file.keep(), info, (*dropped, *remarks))
            except DatasetError as error:
                file.discard()
                event = Discarded("; ".join([str(error).removeprefix(f"{file.path}: "), *dropped]))
            except Exception as error:  # of the disk; the next start tries again
                file.abandon()
                event = Discarded(f"{file.path} could not be read back: {error!r}")
            self.slowest_check = max(self.slowest_check, time.monotonic() - began)
            self._events.put(event)

    def _fail(self, error: Exception) -> None:
        if isinstance(error, OSError):
            where = error.filename or (self._file.path if self._file is not None else self._folder)
            reason = f"cannot write {where}: {error.strerror or error}; {remedy(error.errno)}"
        else:
            reason = str(error) if isinstance(error, RecordingError) else repr(error)
        if self._file is not None:
            self._file.abandon()
            self._file = None
        self._events.put(Failed(reason))
