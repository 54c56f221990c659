"""Learning curves from the logs of a training."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

Row = TypeVar("Row")


def read_log(path: Path) -> list[dict[str, Any]]:
    """Read the rows of a log, a line of JSON each."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def spans(rows: Sequence[Row], count: int) -> list[Sequence[Row]]:
    """Cut rows into ``count`` spans (fewer rows: one each), of which the first may be longer by a row."""
    parts = np.array_split(np.arange(len(rows)), min(count, len(rows))) if rows else []
    return [rows[part[0] : part[-1] + 1] for part in parts]
