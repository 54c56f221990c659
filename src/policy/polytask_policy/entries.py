"""Entries of a checkpoint's meta and its tensors, each checked when it is read.

A right checksum says that the entries are as they were written, not that they can be meant. Every fault is a
CheckpointError that names the entry.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

import torch
from torch import Tensor

from polytask_policy.checkpoint import CheckpointError

LONGEST_NAME = 200
LONGEST_TEXT = 10_000
MOST_ENTRIES = 4096
LARGEST_LAYER = 1 << 16
MOST_LAYERS = 64
_REQUIRED = object()


class Entries:
    """The entries of a mapping that was read from JSON."""

    def __init__(self, values: object, where: str = "") -> None:
        """``where``: names of the mappings that this one stands in, with a dot after each."""
        self._where = where
        if not isinstance(values, Mapping):
            raise CheckpointError(f"the checkpoint's entry '{where.rstrip('.') or 'meta'}' must be a mapping")
        self.values: Mapping[str, Any] = values

    def get(self, name: str, default: object = _REQUIRED) -> Any:
        """The entry as it is; raises CheckpointError where it is missing and has no ``default``."""
        if name in self.values:
            return self.values[name]
        if default is _REQUIRED:
            raise CheckpointError(f"the checkpoint lacks an entry: '{self._where}{name}'")
        return default

    def part(self, name: str) -> Entries:
        """A mapping."""
        return Entries(self.get(name), f"{self._where}{name}.")

    def text(self, name: str, longest: int = LONGEST_NAME) -> str:
        """Text of at most ``longest`` characters."""
        value = self.get(name)
        if not isinstance(value, str) or len(value) > longest:
            self._refuse(name, f"text of at most {longest} characters")
        return value

    def texts(self, name: str, longest: int = LONGEST_TEXT) -> tuple[str, ...]:
        """A list of texts."""
        value = self.get(name)
        if not isinstance(value, list) or len(value) > MOST_ENTRIES:
            self._refuse(name, f"a list of at most {MOST_ENTRIES} texts")
        if any(not isinstance(one, str) or len(one) > longest for one in value):
            self._refuse(name, f"a list of texts of at most {longest} characters")
        return tuple(value)

    def names(self, name: str, most: int = MOST_ENTRIES, least: int = 1) -> tuple[str, ...]:
        """A list of ``least`` to ``most`` names, none of them twice."""
        found = self.texts(name, LONGEST_NAME)
        if not least <= len(found) <= most or len(set(found)) < len(found):
            self._refuse(name, f"a list of {least} to {most} names, none of them twice")
        if any(not one.isprintable() or not one for one in found):
            self._refuse(name, "a list of names that can be printed")
        return found

    def count(self, name: str, most: int, least: int = 1) -> int:
        """A whole number from ``least`` to ``most``."""
        value = self.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            self._refuse(name, f"a whole number from {least} to {most}")
        return value

    def counts(self, name: str, most: int, longest: int) -> tuple[int, ...]:
        """A list of at most ``longest`` whole numbers from 1 to ``most``."""
        value = self.get(name)
        if not isinstance(value, list) or len(value) > longest:
            self._refuse(name, f"a list of at most {longest} whole numbers")
        if any(not isinstance(one, int) or isinstance(one, bool) or not 1 <= one <= most for one in value):
            self._refuse(name, f"a list of whole numbers from 1 to {most}")
        return tuple(value)

    def number(self, name: str, least: float, most: float) -> float:
        """A number from ``least`` to ``most``."""
        value = self.get(name)
        if not isinstance(value, int | float) or isinstance(value, bool) or not least <= value <= most:
            self._refuse(name, f"a number from {least:g} to {most:g}")
        return float(value)

    def _refuse(self, name: str, wanted: str) -> NoReturn:
        found = repr(self.values[name]) if not isinstance(self.values[name], list | dict) else "another value"
        raise CheckpointError(f"the checkpoint's entry '{self._where}{name}' must be {wanted}, not {found:.60}")


def encoder_sizes(network: Entries) -> tuple[int, tuple[int, ...]]:
    """Sizes of an encoder of pictures: its features, and its convolutions' strides."""
    return network.count("feature", LARGEST_LAYER), network.counts("strides", 64, MOST_LAYERS)


def require_weights(tensors: Mapping[str, Tensor], what: str) -> None:
    """Refuse networks whose tensors are not all finite float32; ``what`` names them."""
    for name, tensor in tensors.items():
        if tensor.dtype != torch.float32:
            raise CheckpointError(f"{what}: tensor '{name}' is {tensor.dtype}, not float32")
        if not bool(tensor.isfinite().all()):
            raise CheckpointError(f"{what}: tensor '{name}' has values that are not finite")
        if name.endswith("normaliser.scale") and not bool((tensor > 0).all()):
            raise CheckpointError(f"{what}: tensor '{name}' has values that are not positive")


def require_examples(
    tensors: Mapping[str, Tensor], kind: str, shape: tuple[int | None, ...], dtype: torch.dtype, tasks: int, what: str
) -> None:
    """Refuse taught examples ``kind`` of another shape (None: any size) or type, or of a task that is none of theirs.

    Their task numbers, 0 to ``tasks`` - 1, are in the tensor of the same name in the singular with ``_tasks``.
    """
    examples, numbers = tensors[kind], tensors[f"{kind[:-1]}_tasks"]
    fits = examples.ndim == len(shape) and all(
        wanted in (None, found) for wanted, found in zip(shape, examples.shape, strict=True)
    )
    if examples.dtype != dtype or not fits or not bool(torch.isfinite(examples).all()):
        raise CheckpointError(f"{what}: tensor 'examples.{kind}' must be finite {dtype} of shape {_shown(shape)}")
    if numbers.dtype != torch.int64 or numbers.shape != examples.shape[:1]:
        raise CheckpointError(f"{what}: tensor 'examples.{kind[:-1]}_tasks' must be int64, one for each of {kind}")
    if len(numbers) and not 0 <= int(numbers.min()) <= int(numbers.max()) < tasks:
        raise CheckpointError(f"{what}: tensor 'examples.{kind[:-1]}_tasks' names tasks that are none of the policy's")


def brief(error: Exception) -> str:
    """Return an error's text in one line; torch names each parameter of a large network in one of its own."""
    text = " ".join(str(error).split())
    return text if len(text) <= 300 else f"{text[:299]}…"


def _shown(shape: Iterable[int | None]) -> str:
    return f"({', '.join('N' if size is None else str(size) for size in shape)})"
