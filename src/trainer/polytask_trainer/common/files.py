"""Writing files whole, and removing what the trainer wrote, but nothing else: users keep files in output folders."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polytask_policy.checkpoint import write_atomically

_FOLDERS = re.compile(r"[0-9a-f]{16}|relabelled|cloning|memory")
_FILES = re.compile(
    r"checkpoint\.json|tensors-[0-9a-f]{16}\.safetensors|\d+\.u8|(average|best|[0-9a-f]{16})\.npz|\..+\.\d+\.tmp"
)


def remove_own(folder: Path) -> bool:
    """Remove our files from a folder of ours, and the folder itself where nothing else is in it.

    Symbolic links are neither followed nor removed. Returns whether the folder is gone.
    """
    if folder.is_symlink() or not folder.is_dir():
        return not folder.is_symlink() and not folder.exists()
    with contextlib.suppress(OSError):  # what cannot be removed stays
        for path in folder.iterdir():
            if path.is_symlink():
                continue
            if path.is_dir() and _FOLDERS.fullmatch(path.name):
                remove_own(path)
            elif path.is_file() and _FILES.fullmatch(path.name):
                path.unlink()
        folder.rmdir()
    return not folder.exists()


def linked(*folders: Path) -> str:
    """Say which of the folders, of those that we write into, is a symbolic link; empty where none is."""
    for folder in folders:
        if folder.is_symlink():
            return (
                f"{folder} is a symbolic link; what it points to is not ours to write and to remove: put a real folder "
                "in its place, or link the whole output folder"
            )
    return ""


def write_npz(path: Path, **arrays: NDArray[Any]) -> None:
    """Write arrays to an npz file without pickle, in one step."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    write_atomically(path, buffer.getvalue())
