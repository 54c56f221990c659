"""The demo itself, as small as it goes: every job runs, every figure is measured, the report is there.

None of the figures means anything at this size, so none is judged.
"""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from polytask_cli.demo.options import DemoOptions, Scale
from polytask_cli.demo.run import run_demo

TINY = Scale(
    control_demonstrations=2,
    expert_starts=2,
    ask_starts=1,
    heldout_sentences=1,
    heldout_starts=1,
    other_starts=1,
    timing_seconds=1.0,
    lockstep_episodes=2,
    learn_steps=300,
    distill_steps=250,
)
TASKS = ("drawer-close", "reach")


def run(output: Path) -> tuple[Path, str]:
    """Run it; gives the report's path and all that was printed."""
    console = Console(file=io.StringIO(), width=150, force_terminal=False)
    report = run_demo(DemoOptions(tasks=TASKS, output=output, scale=TINY), console)
    return report, console.file.getvalue()


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_demo_at_its_smallest(tmp_path):
    report, printed = run(tmp_path)
    html = report.read_text()
    results = json.loads((tmp_path / "results.json").read_text())
    figures = {row["key"]: row for row in results["figures"]}
    assert {"wall", "experts", "words", "image", "name", "heldout", "nogoal", "other", "latency", "lockstep"} <= set(
        figures
    )
    unmeasured = [key for key, row in figures.items() if row["value"] is None]
    assert unmeasured == []
    assert figures["demonstrations"]["value"] == 1
    for row in figures.values():
        assert row["name"] in printed
    assert 'src="http' not in html
    assert all(task in html for task in TASKS)
    # The same command again has nothing left to do.
    assert "nothing was left to do" in run(tmp_path)[1]
