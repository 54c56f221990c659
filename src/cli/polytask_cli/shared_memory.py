"""Shared memory that killed nodes left behind.

Every node holds a segment of the size that config/fastdds_profile.xml says. A node that ends removes its own; one that
is killed cannot, and Fast DDS leaves it to `fastdds shm clean`, which the wheels lack. Some hundred killed nodes would
fill the memory.
"""

from __future__ import annotations

import contextlib
import fcntl
import re
import time
from pathlib import Path

FOLDER = Path("/dev/shm")
SEGMENT_LOCK = re.compile(r"fastdds_[0-9a-f]{16}_el")
MINIMUM_AGE = 20.0  # s; a node that is just starting has made its lock's file, but may not have locked it yet


def remove_leftovers(folder: Path = FOLDER) -> int:
    """Remove segments whose owner is gone: beside each lies a file that the owner keeps locked.

    Returns:
        How many bytes were set free.
    """
    freed = 0
    oldest = time.time() - MINIMUM_AGE
    with contextlib.suppress(OSError):
        for lock in folder.iterdir():
            if SEGMENT_LOCK.fullmatch(lock.name):
                # Somebody else's, or removed meanwhile: not ours to care about.
                with contextlib.suppress(OSError):
                    if lock.stat().st_mtime < oldest:
                        freed += _remove_unlocked(lock)
    return freed


def _remove_unlocked(lock: Path) -> int:
    with lock.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # raises where the owner lives
        segment = lock.with_name(lock.name.removesuffix("_el"))
        size = 0
        with contextlib.suppress(FileNotFoundError):
            size = segment.stat().st_size
            segment.unlink()
        lock.unlink()
    return size
