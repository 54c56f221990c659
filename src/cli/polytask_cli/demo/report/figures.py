"""From what was measured to the table of figures: value, interval, reached or missed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from polytask_cli.demo.targets import TARGETS, Target, wall_target
from polytask_trainer.rollouts.evaluate import wilson


@dataclass(frozen=True)
class Figure:
    """One row of the table. ``value``, ``low`` and ``high`` are in SI units or shares; None: not measured."""

    key: str
    name: str
    must: str
    value: float | None
    low: float | None
    high: float | None
    shown: str
    """Value for a person."""
    interval: str
    """Interval and number of trials for a person."""
    reached: bool | None

    def to_json(self) -> dict[str, Any]:
        """As JSON-able values."""
        return asdict(self)


def figure(
    target: Target,
    value: float | None,
    low: float | None = None,
    high: float | None = None,
    detail: str = "",
) -> Figure:
    """Judge a measured value by its target."""
    if value is None:
        return Figure(target.key, target.name, target.must, None, None, None, "not measured", detail, None)
    interval = ""
    if low is not None and high is not None:
        interval = f"{target.show(low)} to {target.show(high)}".replace(" % to", " to").replace(" ms to", " to")
    interval = f"{interval}, {detail}" if interval and detail else interval or detail
    reached = target.reached(value)
    return Figure(target.key, target.name, target.must, value, low, high, target.show(value), interval, reached)


def share(target: Target, successes: Iterable[bool], detail: str = "") -> Figure:
    """A share of successes with its 95 % Wilson interval; ``detail`` is shown before the number of trials."""
    outcomes = list(successes)
    if not outcomes:
        return figure(target, None)
    low, high = wilson(sum(outcomes), len(outcomes))
    remarks = f"{detail}, n = {len(outcomes)}" if detail else f"n = {len(outcomes)}"
    return figure(target, sum(outcomes) / len(outcomes), low, high, remarks)


def by_task(episodes: Sequence[Mapping[str, Any]], key: str = "asked") -> dict[str, list[bool]]:
    """Outcomes of episodes (with ``success`` and a task under ``key``), grouped by task."""
    grouped: dict[str, list[bool]] = {}
    for episode in episodes:
        grouped.setdefault(str(episode[key]), []).append(bool(episode["success"]))
    return grouped


def weakest(target: Target, episodes: Sequence[Mapping[str, Any]]) -> Figure:
    """The success rate of the task that does worst."""
    tasks = by_task(episodes)
    if not tasks:
        return figure(target, None)
    worst = min(tasks, key=lambda task: sum(tasks[task]) / len(tasks[task]))
    return share(target, tasks[worst], worst)


def all_figures(results: Mapping[str, Any]) -> list[Figure]:
    """Every row of the table, in its order, from results.json's measured parts (a missing part: not measured)."""
    rows = [figure(wall_target(bool(results["settings"]["quick"])), results["wall"]["total"])]
    kept = results.get("demonstrations", {})
    most = max((len(files) for files in kept.values()), default=None)
    rows.append(figure(TARGETS["demonstrations"], most, detail=f"{len(kept)} tasks"))
    experts = [ok for task in results.get("experts", {}).values() for ok in task["expert"]["successes"]]
    rows.append(share(TARGETS["experts"], experts))
    asked = results.get("asked", [])
    for kind in ("words", "image", "name"):
        group = [episode for episode in asked if episode["group"] == kind]
        rows.append(share(TARGETS[kind], (bool(episode["success"]) for episode in group)))
        rows.append(weakest(TARGETS[f"{kind}_worst"], group))
    for key in ("heldout", "nogoal", "other"):
        source = results.get("nogoal", []) if key == "nogoal" else asked
        group = [episode for episode in source if episode["group"] == key]
        rows.append(share(TARGETS[key], (bool(episode["success"]) for episode in group)))
    return [*rows, *_timing(results.get("timing", {}))]


def _timing(timing: Mapping[str, Any]) -> list[Figure]:
    real = timing.get("realtime")
    lock = timing.get("lockstep")
    rows = [figure(TARGETS["latency"], None), figure(TARGETS["overrun"], None), figure(TARGETS["lockstep"], None)]
    if real:
        latency = real["latency"]
        detail = f"{real['rate']:g} Hz, p50 {1000 * latency['p50']:.1f} ms, longest {1000 * latency['longest']:.1f} ms"
        rows[0] = figure(TARGETS["latency"], latency["p99"], detail=f"{detail}, n = {real['commands']}")
        overrun = max(0.0, real["period"]["longest"] * real["rate"] - 1.0)
        rows[1] = figure(TARGETS["overrun"], overrun, detail=f"longest {1000 * real['period']['longest']:.1f} ms")
    if lock:
        detail = f"{lock['ros_rate']:.0f} of {lock['process_rate']:.0f} steps/s"
        rows[2] = figure(TARGETS["lockstep"], lock["ratio"], lock["low"], lock["high"], detail)
    return rows
