"""The report's tables: success by task and kind, by sentence, and what was done when something was asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from polytask_trainer.rollouts.evaluate import wilson

BLUE, GREY, ORANGE = "#2563eb", "#9aa5b1", "#d97706"
NOTHING = "nothing"
CONTROLS = ("nogoal", "random")

Episode = Mapping[str, Any]


def cell(outcomes: Sequence[bool], colour: str) -> dict[str, Any] | None:
    """A bar with its interval; None without outcomes."""
    if not outcomes:
        return None
    low, high = wilson(sum(outcomes), len(outcomes))
    label = f"{sum(outcomes)} of {len(outcomes)}, 95 % interval {100 * low:.0f} to {100 * high:.0f} %"
    return {"rate": sum(outcomes) / len(outcomes), "low": low, "high": high, "colour": colour, "label": label}


def kind_table(episodes: Sequence[Episode], tasks: Sequence[str], groups: Sequence[str]) -> list[dict[str, Any]]:
    """Success of each task by group of questions, and of all tasks together."""

    def row(name: str, wanted: Sequence[str]) -> dict[str, Any]:
        cells = []
        for group in groups:
            chosen = [bool(e["success"]) for e in episodes if e["group"] == group and e["asked"] in wanted]
            cells.append(cell(chosen, GREY if group in CONTROLS else BLUE))
        return {"task": name, "cells": cells}

    return [*(row(task, [task]) for task in tasks), row("all", tasks)]


def expert_table(experts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Success of cloned policies and experts by task, and of all tasks together."""
    columns = (("bc1", GREY), ("bc_many", ORANGE), ("expert", BLUE))

    def row(name: str, entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        cells = [
            cell([ok for entry in entries for ok in entry.get(key, {}).get("successes", ())], colour)
            for key, colour in columns
        ]
        return {"task": name, "cells": cells}

    return [*(row(task, [entry]) for task, entry in experts.items()), row("all", list(experts.values()))]


def sentence_table(episodes: Sequence[Episode]) -> list[dict[str, Any]]:
    """How often each held-out sentence was done."""
    counts: dict[tuple[str, str], list[bool]] = {}
    for episode in episodes:
        if episode["group"] == "heldout":
            counts.setdefault((episode["asked"], episode["goal"]), []).append(bool(episode["success"]))
    return [
        {"task": task, "sentence": sentence, "successes": sum(outcomes), "count": len(outcomes)}
        for (task, sentence), outcomes in counts.items()
    ]


def confusion(episodes: Sequence[Episode], tasks: Sequence[str]) -> dict[str, Any] | None:
    """Shares of what held at the end of the episodes asked for each task; None where that is not known.

    An episode that succeeded counts as its task; otherwise as another task that was done, or as nothing.
    """
    known = [episode for episode in episodes if episode["done"] is not None]
    if not known:
        return None
    columns = [*tasks, NOTHING]
    rows = []
    for task in tasks:
        own = [episode for episode in known if episode["asked"] == task]
        counts = dict.fromkeys(columns, 0)
        for episode in own:
            others = [done for done in episode["done"] if done in counts and done != task]
            counts[task if episode["success"] else (others or [NOTHING])[0]] += 1
        cells = [_shade(counts[name], len(own), good=name == task) for name in columns]
        rows.append({"task": task, "cells": cells})
    return {"columns": columns, "rows": rows, "count": len(known)}


def _shade(count: int, total: int, good: bool) -> dict[str, Any]:
    rate = count / total if total else 0.0
    tone = "37, 99, 235" if good else "200, 30, 30"
    strength = 0.08 + 0.9 * rate if good else min(1.0, 3 * rate) * 0.75
    return {
        "count": count,
        "shown": f"{100 * rate:.0f} %" if count else "",
        "colour": f"rgba({tone}, {strength:.2f})",
        "ink": "#fff" if strength > 0.5 else "inherit",
    }
