"""Checkpoint folders: tensors in safetensors, everything else in JSON, never pickle.

A folder holds ``checkpoint.json`` and the tensor file it names. The JSON is replaced last and in one step, so a reader
sees the old checkpoint or the new one, whole, wherever the writer was killed. Both are under a checksum: that of the
JSON is taken over its text with the checksum itself left empty.

A folder may come from anywhere, so nothing outside it is ever read: what it names is a plain name of a regular file.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as tensors_to_bytes
from torch import Tensor

FORMAT = 2
META_FILE = "checkpoint.json"
LARGEST_META = 32 << 20
"""Bytes of JSON."""
DEEPEST_META = 32
"""Lists and mappings within one another."""
_TENSOR_FILE = re.compile(r"tensors-[0-9a-f]{16}\.safetensors")
_TEMPORARY = re.compile(rf"\.({re.escape(META_FILE)}|{_TENSOR_FILE.pattern})\.\d+\.tmp")


class CheckpointError(Exception):
    """A checkpoint is missing, damaged, of another kind, or made for another robot; the message says which."""


def write_atomically(path: Path, data: bytes) -> None:
    """Write ``data`` to a temporary file beside ``path`` and rename it into place, flushed to disk."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def save_checkpoint(folder: Path | str, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
    """Write ``tensors`` and JSON-able ``meta`` to ``folder``, replacing the checkpoint that is there as a whole."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    # A copy of each tensor: safetensors refuses views and tensors that share storage.
    data = tensors_to_bytes({name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()})
    digest = hashlib.sha256(data).hexdigest()
    file = f"tensors-{digest[:16]}.safetensors"
    document = {
        "format": FORMAT,
        "sha256": "",
        "tensors": {"file": file, "bytes": len(data), "sha256": digest},
        "meta": dict(meta),
    }
    text = json.dumps(document, indent=1, allow_nan=False).encode()
    write_atomically(folder / file, data)
    write_atomically(folder / META_FILE, text.replace(_checksum(""), _checksum(hashlib.sha256(text).hexdigest()), 1))
    for old in folder.iterdir():
        if old.name != file and (_TENSOR_FILE.fullmatch(old.name) or _TEMPORARY.fullmatch(old.name)):
            old.unlink(missing_ok=True)


def has_checkpoint(folder: Path | str) -> bool:
    """Whether ``folder`` holds a checkpoint (not whether it is sound)."""
    return (Path(folder) / META_FILE).is_file()


def load_checkpoint(folder: Path | str, kind: str | None = None) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read (tensors, meta) from ``folder``; with ``kind``, meta["kind"] must be that.

    Raises CheckpointError when the folder holds none, when a file is missing or damaged, or when the kind is another.
    """
    folder = Path(folder)
    document = _read_document(folder / META_FILE)
    try:
        entry, meta = document["tensors"], document["meta"]
        name, size, digest, kept = entry["file"], entry["bytes"], entry["sha256"], meta.get("kind")
    except (KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{folder / META_FILE} lacks an entry: {error!r}") from None
    if not isinstance(name, str) or not _TENSOR_FILE.fullmatch(name):
        raise CheckpointError(f"{folder / META_FILE} names {name!r:.100}, which is no name of a tensor file")
    if kind is not None and kept != kind:
        raise CheckpointError(f"{folder} holds a checkpoint of kind {kept!r:.100}, not '{kind}'")
    path = folder / name
    try:
        with open_regular(path) as file:
            if os.fstat(file.fileno()).st_size != size or _digest(file) != digest:
                raise CheckpointError(f"{path} is damaged (its checksum is not the one in {META_FILE})")
            # The very file that was checked. Copied out of the mapped file: unlike reading tensors from bytes, that
            # lets other threads run meanwhile.
            mapped = load_file(f"/dev/fd/{file.fileno()}")
            return {name: tensor.clone() for name, tensor in mapped.items()}, meta
    except OSError as error:
        raise CheckpointError(f"the tensor file of {folder} cannot be read: {error}") from None
    except SafetensorError as error:
        raise CheckpointError(f"{path} is not a safetensors file: {error}") from None


@contextmanager
def open_regular(path: Path) -> Iterator[BinaryIO]:
    """Open a regular file to read. Raises OSError for a symbolic link, a pipe, a device or a folder."""
    number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(number, "rb") as file:
        if not stat.S_ISREG(os.fstat(number).st_mode):
            raise OSError(f"{path} is not a regular file")
        yield file


def _read_document(path: Path) -> dict[str, Any]:
    """Read the JSON, whose checksum is right."""
    try:
        with open_regular(path) as file:
            data = file.read(LARGEST_META + 1)
        if len(data) > LARGEST_META:
            raise ValueError(f"it is larger than {LARGEST_META >> 20} MB")
        document = json.loads(data)
    except FileNotFoundError:
        raise CheckpointError(
            f"{path.parent} holds no checkpoint ({META_FILE} is missing): is the path right?"
        ) from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from None
    except RecursionError:
        raise CheckpointError(f"{path} cannot be read: it is nested too deeply") from None
    found = document.get("format") if isinstance(document, dict) else None
    if found != FORMAT:
        remedy = ": it has no checksum of its own; make it anew (learn or distil again)" if found == 1 else ""
        raise CheckpointError(f"{path} has format {found!r:.100}, this version reads format {FORMAT}{remedy}")
    digest = document.get("sha256")
    unsigned = data.replace(_checksum(digest), _checksum(""), 1) if isinstance(digest, str) else b""
    if hashlib.sha256(unsigned).hexdigest() != digest:
        raise CheckpointError(f"{path} is damaged (its checksum is not the one that it names): copy it again")
    if _deeper(document, DEEPEST_META):
        raise CheckpointError(f"{path} cannot be read: it is nested too deeply")
    return dict(document)


def _checksum(digest: str) -> bytes:
    """Return the entry of the JSON's checksum; the first in the text, for only a number stands before it."""
    return f'"sha256": "{digest}"'.encode(errors="replace")


def _deeper(value: Any, depth: int) -> bool:
    """Whether lists and mappings are nested more than ``depth`` deep."""
    level = [value]
    for _ in range(depth + 1):
        inside = [one for one in level if isinstance(one, dict | list)]
        level = [inner for outer in inside for inner in (outer.values() if isinstance(outer, dict) else outer)]
    return bool(level)


def _digest(file: BinaryIO) -> str:
    """SHA-256 of a file, in pieces."""
    digest = hashlib.sha256()
    while piece := file.read(1 << 20):
        digest.update(piece)
    return digest.hexdigest()
