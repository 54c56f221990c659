"""Notes below the table of figures; each is shown only where it applies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from polytask_cli.demo.report.figures import Figure, by_task
from polytask_cli.demo.targets import TARGETS
from polytask_robot_io.outcomes import Outcome

BUSY = 0.5
"""Load average above the number of cores from which on the machine counts as busy with other things."""


def make_notes(results: Mapping[str, Any], figures: Sequence[Figure]) -> list[str]:
    """Sentences for the report, most important first."""
    notes = [f"Missed, {row.name}: {text}" for row in figures if row.reached is False and (text := _why(row, results))]
    settings, machine = results["settings"], results["machine"]
    if settings["quick"]:
        notes.append("The quick demo has few episodes, so its intervals are wide; the full one decides.")
    if len(settings["tasks"]) != 5 or settings["suite"] != "tabletop":
        notes.append("The limits were set for the five standard tasks of the tabletop.")
    if settings["suite"] == "metaworld":
        notes.append(
            "Each task of this suite has a scene of its own, which tells a policy what to do even without a goal; "
            "only suites with one scene show that goals are understood."
        )
    if machine["load"] > machine["cores"] + BUSY:
        notes.append(
            f"Other programs kept the machine busy (load {machine['load']:.1f} on {machine['cores']} cores); "
            "all times are longer than on a machine of its own."
        )
    if any(job["earlier"] for job in results.get("jobs", [])):
        notes.append("The demo was interrupted and carried on; its wall time is the sum of all its sittings.")
    if repeated := sum("repeated" in episode for episode in results.get("asked", [])):
        notes.append(f"{repeated} questions were asked a second time because messages were lost on the way.")
    film = results.get("film", {})
    if film.get("identical") != film.get("replayed"):
        notes.append("Some videos show an episode that ended a little differently from what the topics carried.")
    return notes


def _why(row: Figure, results: Mapping[str, Any]) -> str:
    """Where a missed figure fell short, and what was tried about it."""
    where = ""
    if row.key in ("words", "image", "name", "heldout", "other"):
        group = [episode for episode in results["asked"] if episode["group"] == row.key]
        rates = {task: sum(outcomes) / len(outcomes) for task, outcomes in by_task(group).items()}
        weak = sorted((rate, task) for task, rate in rates.items() if rate < TARGETS[row.key].limit)
        where = ", ".join(f"{task} {100 * rate:.0f} %" for rate, task in weak)
        refused = sum(episode["outcome"] == Outcome.UNKNOWN_GOAL.name for episode in group)
        where += f"; {refused} of {len(group)} goals were refused as not understood" if refused else ""
    if row.key == "experts":
        outcomes = {task: entry["expert"]["successes"] for task, entry in results["experts"].items()}
        weak = sorted((sum(done) / len(done), task) for task, done in outcomes.items())
        where = ", ".join(f"{task} {100 * rate:.0f} %" for rate, task in weak if rate < TARGETS[row.key].limit)
    if row.key == "wall":
        slow = sorted(results["phases"], key=lambda phase: -float(phase["seconds"]))[:2]
        where = "most of it went into " + " and ".join(f"{p['title']} ({p['seconds']:.0f} s)" for p in slow)
    tried = TARGETS[row.key].tried if row.key in TARGETS else ""
    return ". ".join(part for part in (where, tried) if part)
