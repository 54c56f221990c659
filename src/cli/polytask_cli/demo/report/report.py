"""The report: results.json and pictures to one HTML file."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2

from polytask_cli.demo.report.curves import latency_chart, learning_curves
from polytask_cli.demo.report.figures import all_figures
from polytask_cli.demo.report.notes import make_notes
from polytask_cli.demo.report.report_tables import confusion, expert_table, kind_table, sentence_table
from polytask_cli.demo.targets import TARGETS
from polytask_cli.files import read_lines, write_bytes
from polytask_cli.video.media import data_uri

PHASE_COLOURS = ("#2563eb", "#7c3aed", "#0891b2", "#d97706", "#15803d", "#c81e1e", "#64748b", "#a16207")
PANEL_WIDTH = 340
"""Greatest width of one learning curve in pixels; where there are many, they share the page's width."""
LEAST_WIDTH = 0.15
"""Percent of the time axis; shorter jobs could not be seen."""


def write_report(path: Path, results: Mapping[str, Any], finish: Callable[[], Mapping[str, Any]]) -> None:
    """Write the report of ``results`` to ``path``.

    ``finish`` is called when the slow part is done and gives the results with the final wall time.
    """
    pictures = _pictures(results)
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    source = resources.files(__package__).joinpath("report.html.j2").read_text(encoding="utf-8")
    template = environment.from_string(source)
    context = {**_context(finish()), **pictures}
    write_bytes(path, template.render(**context).encode())


def _pictures(results: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that takes time: charts, and files turned into URIs."""
    film = results.get("film", {"films": [], "failures": [], "same_start": False, "replayed": 0, "identical": 0})
    progress = {task: read_lines(Path(entry["progress"])) for task, entry in results.get("experts", {}).items()}
    progress = {task: lines for task, lines in progress.items() if lines}
    real = results.get("timing", {}).get("realtime")
    limit = TARGETS["latency"].limit
    return {
        "films": [
            {**entry, "uri": data_uri(Path(entry["file"])), "goal_uri": _goal_uri(entry)} for entry in film["films"]
        ],
        "failures": [
            {
                **entry,
                "uri": data_uri(Path(entry["file"])) if entry["file"] else None,
                "goal_uri": _goal_uri(entry),
            }
            for entry in film["failures"]
        ],
        "same_start": film["same_start"],
        "replayed": {"count": film["replayed"], "identical": film["identical"]},
        "demonstrations": [
            {"task": task, **entries[0], "uri": data_uri(Path(entries[0]["strip"]))}
            for task, entries in results.get("demonstrations", {}).items()
        ],
        "same_demonstration_start": results["settings"]["suite"] != "metaworld"
        and len({entries[0]["seed"] for entries in results.get("demonstrations", {}).values()}) == 1,
        "curves_width": PANEL_WIDTH * len(progress),
        "curves": data_uri(learning_curves(progress), "image/svg+xml") if progress else None,
        "latency": data_uri(latency_chart(real["latencies"], limit), "image/svg+xml") if real else None,
    }


def _goal_uri(entry: Mapping[str, Any]) -> str | None:
    """The picture that was shown as the goal, if one was."""
    return data_uri(Path(entry["goal_file"])) if entry.get("goal_file") else None


def _context(results: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that is text and numbers."""
    settings, asked = results["settings"], results.get("asked", [])
    figures = all_figures(results)
    kinds = [("words", "in words"), ("heldout", "new sentences"), ("image", "by picture"), ("name", "by name")]
    kinds += [("other", "from another's start"), ("nogoal", "no goal"), ("random", "random actions")]
    return {
        "title": f"polytask-ros: {len(settings['tasks'])} tasks, shown once each, one policy",
        "tasks": settings["tasks"],
        "settings": settings,
        "machine": results["machine"],
        "figures": [asdict(row) for row in figures],
        "reached": sum(row.reached is True for row in figures),
        "missed": any(row.reached is False for row in figures),
        "total": figures[0].shown,
        "notes": make_notes(results, figures),
        "matrix": confusion(asked, settings["tasks"]),
        "kinds": [{"name": name} for _, name in kinds],
        "kind_rows": kind_table(
            [*asked, *results.get("nogoal", []), *results.get("random", [])],
            settings["tasks"],
            [key for key, _ in kinds],
        ),
        "expert_rows": expert_table(results.get("experts", {})),
        "expert_starts": settings["scale"]["expert_starts"],
        "cloned": {"one": 1, "many": settings["scale"]["control_demonstrations"]},
        "failure_count": sum(not episode["success"] for episode in asked),
        "episode_count": len(asked),
        "sentences": sentence_table(asked),
        "timing_lines": _timing_lines(results.get("timing", {})),
        "gantt": gantt(results.get("jobs", []), results.get("phases", []), results["wall"]["total"]),
        "phases": [
            {**phase, "colour": PHASE_COLOURS[number % len(PHASE_COLOURS)], "shown": f"{phase['seconds']:.0f} s"}
            for number, phase in enumerate(results.get("phases", []))
        ],
        "command": results["command"],
        "provenance": json.dumps(
            {key: results[key] for key in ("settings", "seeds", "versions", "machine", "written")}, indent=1
        ),
    }


def gantt(
    jobs: Sequence[Mapping[str, Any]], phases: Sequence[Mapping[str, Any]], total: float
) -> dict[str, list[list[dict[str, Any]]]]:
    """Jobs laid out in as few lanes as they need, positions in percent of the whole time."""
    colours = {phase["key"]: PHASE_COLOURS[n % len(PHASE_COLOURS)] for n, phase in enumerate(phases)}
    lanes: list[list[dict[str, Any]]] = []
    ends: list[float] = []
    for job in sorted(jobs, key=lambda job: float(job["start"])):
        lane = next((n for n, end in enumerate(ends) if end <= job["start"] + 0.05), len(lanes))
        if lane == len(lanes):
            lanes.append([])
            ends.append(0.0)
        ends[lane] = job["end"]
        length = job["end"] - job["start"]
        lanes[lane].append(
            {
                "left": round(100 * job["start"] / total, 2),
                "width": round(max(LEAST_WIDTH, 100 * length / total - 0.1), 2),
                "colour": colours.get(job["phase"], PHASE_COLOURS[-1]),
                "title": f"{job['name']}: {length:.0f} s",
            }
        )
    return {"lanes": lanes}


def _timing_lines(timing: Mapping[str, Any]) -> list[str]:
    lines = []
    if real := timing.get("realtime"):
        latency, arrived, period = real["latency"], real["arrived"], real["period"]
        lines += [
            f"{real['commands']} commands at {real['rate']:g} Hz in {real['goals']} goals "
            f"({real['succeeded']} succeeded), {real['pictures']} camera pictures received beside them.",
            f"Stamp of the observation to stamp of the command: median {_ms(latency['p50'])}, "
            f"p99 {_ms(latency['p99'])}, longest {_ms(latency['longest'])}; "
            f"until another process had it: p99 {_ms(arrived['p99'])}.",
            f"Period between commands: median {_ms(period['p50'])}, longest {_ms(period['longest'])}.",
        ]
    if lock := timing.get("lockstep"):
        lines.append(
            f"Lock-step through ROS: {lock['ros_rate']:.0f} steps/s; the same {lock['episodes']} episodes in one "
            f"process: {lock['process_rate']:.0f} steps/s. {lock['identical']} of them ended in the very same state."
        )
    return lines


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.2f} ms"
