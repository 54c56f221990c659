"""What an experiment has measured at one budget: a file with a line of JSON for each run."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from polytask_policy.checkpoint import write_atomically
from polytask_trainer.common.settings import ConfigError
from polytask_trainer.experiments.framework.run import slug

RUNS = "runs.jsonl"

Document = Mapping[str, Any]
"""One run and what it measured: title, name, target, config, seed, needs, versions, result."""


def read_documents(folder: Path) -> list[Document]:
    """Read the runs in ``folder``, in the order of their slugs. Raises ConfigError for a broken line or no run."""
    documents = _read(folder / RUNS)
    if not documents:
        raise ConfigError(f"{folder}: no run has finished yet")
    return documents


def publish(documents: Iterable[Document], folder: Path) -> None:
    """Put runs into the file in ``folder``, each in place of the one with its title and seed, whatever its settings.

    The new file takes the old one's place at once, and whoever else publishes there waits. Raises ConfigError for a
    broken line.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _alone_in(folder):
        found = {slug(one["title"], one["seed"]): one for one in (*_read(folder / RUNS), *documents)}
        lines = [json.dumps(found[key], separators=(",", ":")) + "\n" for key in sorted(found)]
        write_atomically(folder / RUNS, "".join(lines).encode())


def _read(path: Path) -> list[Document]:
    documents = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines() if path.is_file() else (), 1):
        try:
            documents.append(json.loads(line))
        except ValueError as error:
            raise ConfigError(f"{path}, line {number}: is no JSON ({error}); restore or delete the line") from error
    return documents


@contextlib.contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Wait for a lock on the folder itself, which leaves no file behind and ends with the process."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
