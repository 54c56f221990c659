"""The charts of the report, as SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

INK, FAINT, MAIN, SECOND = "#1f2933", "#c3ccd5", "#2563eb", "#d97706"
COLUMNS = 5
WINDOW = 15
"""Training episodes over which curves are averaged."""


def smooth(values: Sequence[float], window: int = WINDOW) -> NDArray[np.float64]:
    """Mean over the last ``window`` values at each."""
    sums = np.cumsum(np.concatenate([[0.0], np.asarray(values, dtype=np.float64)]))
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(0, ends - window)
    return np.asarray((sums[ends] - sums[starts]) / (ends - starts))


def learning_curves(progress: Mapping[str, Sequence[Mapping[str, Any]]]) -> bytes:
    """One panel per task: the matching return the learner sees, and the success it does not see, by agent steps."""
    columns = min(COLUMNS, len(progress))
    rows = -(-len(progress) // columns)
    figure = Figure(figsize=(2.35 * columns, 1.9 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).flatten()
    for axis in axes[len(progress) :]:
        axis.set_visible(False)
    for number, (axis, (task, lines)) in enumerate(zip(axes, progress.items(), strict=False)):
        _style(axis, task)
        steps = [line["step"] for line in lines]
        rewards = [line["episode_reward"] for line in lines]
        axis.scatter(steps, rewards, s=1.5, color=FAINT, rasterized=True)
        axis.plot(steps, smooth(rewards), color=MAIN, linewidth=1.4)
        other = axis.twinx()
        _style(other)
        other.plot(steps, 100 * smooth([float(line["success"]) for line in lines]), color=SECOND, linewidth=1.2)
        other.set_ylim(-3, 103)
        if number % columns == 0:
            axis.set_ylabel("return by matching", color=MAIN, fontsize=7)
        if number % columns == columns - 1 or number == len(progress) - 1:
            other.set_ylabel("success, %", color=SECOND, fontsize=7)
        else:
            other.set_yticklabels([])
        axis.set_xlabel("agent steps", fontsize=7)
    return _svg(figure)


def latency_chart(latencies: Sequence[float], limit: float) -> bytes:
    """Histogram of latencies (s) against the limit (s)."""
    figure = Figure(figsize=(4.6, 1.6), layout="constrained")
    axis = figure.subplots()
    _style(axis)
    milliseconds = 1000 * np.asarray(latencies)
    top = max(1200 * limit, float(milliseconds.max()) * 1.05)
    axis.hist(milliseconds, bins=60, range=(0.0, top), color=MAIN)
    axis.axvline(1000 * limit, color=SECOND, linewidth=1.2)
    axis.set_yscale("log")
    axis.set_xlim(0, top)
    axis.set_xlabel("observation stamp to command, ms", fontsize=7)
    axis.set_ylabel("commands", fontsize=7)
    return _svg(figure)


def _style(axis: Axes, title: str = "") -> None:
    axis.set_title(title, fontsize=8, color=INK, loc="left")
    axis.tick_params(labelsize=6, color=FAINT, labelcolor="#52606d", length=2)
    for side in axis.spines.values():
        side.set_color(FAINT)
        side.set_linewidth(0.6)
    axis.spines["top"].set_visible(False)


def _svg(figure: Figure) -> bytes:
    buffer = BytesIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    return buffer.getvalue()
