"""Keeping the allocator's memory: a network's activations are asked for again at every update."""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
"""Numbers of mallopt's parameters in glibc's malloc.h."""


def keep_memory() -> bool:
    """Have this process keep what it frees, instead of giving large blocks back to the kernel each time.

    The kernel clears every page that it hands out again, which takes half the time of an update at ``pixels-84``. The
    process then stays as large as it once was, so this is for jobs that learn and end. False where the C library is
    not glibc: nothing is changed then.
    """
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return False
    # No block is mapped for itself, and the heap's end is never given back.
    return bool(library.mallopt(_MMAP_MAX, 0)) and bool(library.mallopt(_TRIM_THRESHOLD, -1))
