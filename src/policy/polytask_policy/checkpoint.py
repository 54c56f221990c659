"""Checkpoint folders: tensors in safetensors, everything else in JSON, never pickle.

A folder holds ``checkpoint.json`` and the tensor file it names. The JSON is replaced last and in one step, so a reader
sees the old checkpoint or the new one, whole, wherever the writer was killed.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as tensors_to_bytes
from torch import Tensor

FORMAT = 1
META_FILE = "checkpoint.json"


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
    document = {"format": FORMAT, "tensors": {"file": file, "sha256": digest}, "meta": dict(meta)}
    text = json.dumps(document, indent=1, allow_nan=False)
    write_atomically(folder / file, data)
    write_atomically(folder / META_FILE, text.encode())
    for old in (*folder.glob("tensors-*.safetensors"), *folder.glob(".*.tmp")):
        if old.name != file:
            old.unlink(missing_ok=True)


def has_checkpoint(folder: Path | str) -> bool:
    """Whether ``folder`` holds a checkpoint (not whether it is sound)."""
    return (Path(folder) / META_FILE).is_file()


def load_checkpoint(folder: Path | str, kind: str | None = None) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read (tensors, meta) from ``folder``; with ``kind``, meta["kind"] must be that.

    Raises CheckpointError when the folder holds none, when a file is missing or damaged, or when the kind is another.
    """
    folder = Path(folder)
    try:
        document = json.loads((folder / META_FILE).read_text())
    except FileNotFoundError:
        raise CheckpointError(f"{folder} holds no checkpoint ({META_FILE} is missing): is the path right?") from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{folder / META_FILE} cannot be read: {error}") from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        found = document.get("format") if isinstance(document, dict) else None
        raise CheckpointError(f"{folder / META_FILE} has format {found}, this version reads format {FORMAT}")
    try:
        name, digest, meta = document["tensors"]["file"], document["tensors"]["sha256"], dict(document["meta"])
        found = _digest(folder / str(name))
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{folder / META_FILE} lacks an entry: {error!r}") from None
    except OSError as error:
        raise CheckpointError(f"the tensor file of {folder} cannot be read: {error}") from None
    if found != digest:
        raise CheckpointError(f"{folder / name} is damaged (its checksum is not the one in {META_FILE})")
    if kind is not None and meta.get("kind") != kind:
        raise CheckpointError(f"{folder} holds a checkpoint of kind '{meta.get('kind')}', not '{kind}'")
    try:
        # Copied out of the mapped file: unlike reading tensors from bytes, that lets other threads run meanwhile.
        return {name: tensor.clone() for name, tensor in load_file(folder / str(name)).items()}, meta
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{folder / name} is not a safetensors file: {error}") from None


def _digest(path: Path) -> str:
    """SHA-256 of a file, in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()
