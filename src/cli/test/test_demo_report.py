"""Table and report from made-up results."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from polytask_cli.demo.report.curves import smooth
from polytask_cli.demo.report.figures import Figure, all_figures
from polytask_cli.demo.report.notes import make_notes
from polytask_cli.demo.report.report import gantt, write_report
from polytask_cli.demo.report.report_tables import confusion
from polytask_cli.demo.table import figures_table, verdict
from polytask_cli.video.media import encode, gif, strip

LARGEST_REPORT = 6_000_000
TASKS = ("drawer-open", "box-open", "peg-green")


def picture(seed: int, width: int = 240, height: int = 180) -> np.ndarray:
    """A picture uint8 (height, width, 3) with a square somewhere."""
    result = np.full((height, width, 3), 214, dtype=np.uint8)
    at = 10 + (seed * 17) % (width // 2)
    result[30:80, at : at + 50] = (37, 99, 235)
    return result


def episodes(group: str, rate: float, rng: np.random.Generator) -> list[dict[str, Any]]:
    """Eight episodes per task."""
    found = []
    for number, task in enumerate(TASKS):
        for index in range(8):
            success = bool(rng.random() < rate)
            kind = {"heldout": "words", "other": "name"}.get(group, group)
            found.append(
                {
                    "id": f"{group}-{number}{index}",
                    "group": group,
                    "kind": kind,
                    "start_of": task,
                    "asked": task,
                    "seed": 12000 + 100 * number + index,
                    "goal": f"Please do {task}, <b>now</b> ({index % 3})." if kind == "words" else task,
                    "success": success,
                    "outcome": "SUCCEEDED" if success else "TIMED_OUT",
                    "message": "drawer open 14.1 cm" if success else "the episode reached its time limit",
                    "understood": task,
                    "similarity": 0.9,
                    "steps": 40,
                    "seconds": 0.3,
                    "done": [task] if success else [],
                }
            )
    return found


def made_up_results(folder: Path) -> dict[str, Any]:
    """Results with every part, their files in ``folder``."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    asked = [e for group in ("words", "image", "name", "heldout", "other") for e in episodes(group, 0.9, rng)]
    experts, demonstrations = {}, {}
    for number, task in enumerate(TASKS):
        progress = folder / f"{task}.jsonl"
        lines = [
            {"step": 50 * i, "episode_reward": float(20 + 10 * np.tanh(i / 40) + rng.normal()), "success": i > 30}
            for i in range(120)
        ]
        progress.write_text("".join(json.dumps(line) + "\n" for line in lines))
        experts[task] = {
            key: {"successes": [bool(value) for value in rng.random(40) < rate], "seeds": list(range(40))}
            for key, rate in (("expert", 0.92), ("bc1", 0.4), ("bc_many", 0.7))
        }
        experts[task]["progress"] = str(progress)
        shown = folder / f"{task}.png"
        shown.write_bytes(encode(strip([picture(i + number, 84, 84) for i in range(6)])))
        demonstrations[task] = [{"file": "episode.mcap", "seed": number, "steps": 42, "strip": str(shown)}]
    film, failure = folder / "film.gif", folder / "failure.jpg"
    film.write_bytes(gif([picture(i) for i in range(8)], 10.0))
    failure.write_bytes(encode(picture(3), "JPEG"))
    latencies = np.abs(rng.normal(0.002, 0.0007, 600)).round(6).tolist()
    failures = [episode for episode in asked if not episode["success"]][:5]
    return {
        "settings": {
            "suite": "tabletop",
            "tasks": list(TASKS),
            "quick": False,
            "seed": 0,
            "scale": {"expert_starts": 40, "control_demonstrations": 5},
        },
        "wall": {"total": 765.0},
        "machine": {"cores": 2, "processor": "made up", "load": 1.9},
        "versions": {"polytask": "0.1.0"},
        "seeds": {"questions": "12000 to 12299"},
        "written": "2026-01-01",
        "command": "./polytask demo --seed 0",
        "demonstrations": demonstrations,
        "experts": experts,
        "asked": asked,
        "nogoal": [{**episode, "group": "nogoal"} for episode in episodes("nogoal", 0.2, rng)],
        "film": {
            "same_start": True,
            "films": [{**next(e for e in asked if e["asked"] == task), "file": str(film)} for task in TASKS],
            "failures": [{**episode, "file": str(failure)} for episode in failures],
            "replayed": 8,
            "identical": 8,
        },
        "timing": {
            "realtime": {
                "rate": 20.0,
                "commands": 600,
                "goals": 14,
                "succeeded": 13,
                "pictures": 590,
                "latency": {"p50": 0.002, "p99": 0.004, "longest": 0.006},
                "arrived": {"p50": 0.0025, "p99": 0.005, "longest": 0.007},
                "period": {"p50": 0.05, "p99": 0.055, "longest": 0.08},
                "latencies": latencies,
            },
            "lockstep": {
                "ros_rate": 210.0, "process_rate": 330.0, "ratio": 0.64, "low": 0.6, "high": 0.67, "episodes": 16,
                "identical": 16,
            },
        },
        "phases": [
            {"key": key, "title": title, "seconds": seconds, "earlier": False}
            for key, title, seconds in (("record", "record", 60.0), ("learn", "learn experts", 300.0))
        ],
        "jobs": [
            {"name": "record", "phase": "record", "start": 0.0, "end": 60.0, "earlier": False},
            {"name": "learn a", "phase": "learn", "start": 60.0, "end": 350.0, "earlier": False},
            {"name": "learn b", "phase": "learn", "start": 60.0, "end": 300.0, "earlier": False},
        ],
    }  # fmt: skip


def rows(results: dict) -> dict[str, Figure]:
    return {row.key: row for row in all_figures(results)}


@pytest.fixture
def results(tmp_path: Path) -> dict:
    return made_up_results(tmp_path / "files")


def test_figures_are_judged(results: dict) -> None:
    figures = rows(results)
    assert figures["wall"].reached is True
    assert figures["wall"].shown == "12.8 min"
    assert figures["overrun"].reached is False
    assert figures["overrun"].value == pytest.approx(0.6)
    assert figures["lockstep"].reached is True
    words = [episode["success"] for episode in results["asked"] if episode["group"] == "words"]
    assert figures["words"].value == pytest.approx(np.mean(words))
    assert figures["words"].low < figures["words"].value < figures["words"].high


def test_a_wall_time_of_the_quick_demo_has_a_limit_of_its_own(results: dict) -> None:
    results["settings"]["quick"] = True
    results["wall"]["total"] = 301.0
    assert rows(results)["wall"].reached is False


def test_what_is_missing_is_not_measured(results: dict) -> None:
    for part in ("timing", "asked", "nogoal", "experts"):
        results.pop(part)
    figures = rows(results)
    for key in ("experts", "words", "words_worst", "heldout", "nogoal", "latency", "lockstep"):
        assert figures[key].reached is None, key


def test_the_weakest_task_is_named(results: dict) -> None:
    for episode in results["asked"]:
        if episode["group"] == "image":
            episode["success"] = episode["asked"] != "box-open"
    worst = rows(results)["image_worst"]
    assert (worst.value, worst.reached) == (0.0, False)
    assert worst.interval == "0.0 to 32.4 %, box-open, n = 8"


def test_the_table_shows_what_was_missed(results: dict) -> None:
    figures = all_figures(results)
    console = Console(record=True, width=140)
    console.print(figures_table(figures, "figures"))
    text = console.export_text()
    assert "missed" in text
    assert "≤ 15 min" in text
    assert "longest overrun" in verdict(figures)


def test_notes_say_where_a_missed_figure_fell_short(results: dict) -> None:
    for episode in results["asked"]:
        if episode["group"] == "words":
            episode["success"] = episode["asked"] != "box-open"
    results["machine"]["load"] = 7.0
    notes = make_notes(results, all_figures(results))
    assert any(note.startswith("Missed, one policy asked in words: mean: box-open 0 %") for note in notes)
    assert any("load 7.0 on 2 cores" in note for note in notes)


def test_the_report_stands_alone(results: dict, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    write_report(path, results, lambda: results)
    text = path.read_text()
    assert len(text) < LARGEST_REPORT
    assert not re.search(r"(src|href)=[\"'](?!data:)", text)
    assert "http://" not in re.sub(r"data:[^\"]+", "", text)
    assert "<b>now</b>" not in text  # sentences are escaped
    assert "✗ missed" in text
    for task in TASKS:
        assert task in text


def test_a_report_of_a_metaworld_run_has_no_matrix(results: dict, tmp_path: Path) -> None:
    for episode in results["asked"]:
        episode["done"] = None
    write_report(tmp_path / "report.html", results, lambda: results)
    assert "cannot be judged" in (tmp_path / "report.html").read_text()


def test_confusion_counts_what_was_done_instead() -> None:
    asked = [
        {"asked": "a", "success": True, "done": ["a"]},
        {"asked": "a", "success": False, "done": ["b"]},
        {"asked": "b", "success": False, "done": []},
    ]
    matrix = confusion(asked, ("a", "b"))
    assert matrix is not None
    assert [[cell["count"] for cell in row["cells"]] for row in matrix["rows"]] == [[1, 1, 0], [0, 0, 1]]


def test_jobs_that_overlap_get_lanes_of_their_own() -> None:
    jobs = [
        {"name": "a", "phase": "p", "start": 0.0, "end": 5.0},
        {"name": "b", "phase": "p", "start": 1.0, "end": 3.0},
        {"name": "c", "phase": "p", "start": 3.0, "end": 6.0},
    ]
    lanes = gantt(jobs, [{"key": "p"}], 10.0)["lanes"]
    assert [len(lane) for lane in lanes] == [1, 2]


def test_smooth_is_a_trailing_mean() -> None:
    np.testing.assert_allclose(smooth([1.0, 2.0, 3.0, 4.0], 2), [1.0, 1.5, 2.5, 3.5])
