"""``./polytask demo``: all stages, the table, results.json and the report."""

from __future__ import annotations

import contextlib
import fcntl
import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console

from polytask_cli.demo.display import make_display
from polytask_cli.demo.options import Demo, DemoError, DemoOptions
from polytask_cli.demo.plan import serving_stages, training_stages
from polytask_cli.demo.report.figures import all_figures
from polytask_cli.demo.report.notes import make_notes
from polytask_cli.demo.report.results import assemble
from polytask_cli.demo.scheduler import Clock, Finished, Stage, run_stages
from polytask_cli.demo.stages.ask_plan import Goals, read_heldout
from polytask_cli.demo.table import figures_table, phases_table, verdict
from polytask_cli.files import write_json

SETTINGS = "settings.json"
PLAIN_WIDTH = 130
"""Columns where the output is no terminal: a log has room for whole rows."""


def run_demo(options: DemoOptions, console: Console | None = None) -> Path:
    """Run the whole demo, or what an earlier run in the same folder left to do; gives the report's path.

    Raises DemoError when it cannot run; missed figures are no error. KeyboardInterrupt passes through with all child
    processes ended.
    """
    console = console or Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH)
    demo = options.resolved()
    with _owned(demo), _terminable():
        clock = Clock(demo.output / "clock.json")
        stages = plan_stages(demo)
        console.print(f"[bold]demo[/]: {demo.suite}, {', '.join(demo.tasks)}; everything goes to {demo.output}")
        with make_display(console, len(stages)) as display:
            finished = run_stages(stages, demo.output, clock, display)
        worked = any(not done.earlier for done in finished.values())
        if not worked:
            console.print("nothing was left to do; delete the folder or name another --output to run it anew")
        return _conclude(demo, stages, finished, clock, worked, console)


def plan_stages(demo: Demo) -> list[Stage]:
    """All stages of the demo."""
    from polytask_robot_io.config_files import config_files
    from polytask_robot_io.embodiment import Embodiment
    from polytask_suites import EMBODIMENTS, load_suite

    taught = {task: load_suite(demo.suite).tasks[task].instructions for task in demo.tasks}
    sentences = config_files("sentences").get(f"{demo.suite}_heldout")
    heldout = read_heldout(sentences, demo.tasks, taught)
    goals = Goals(taught, heldout, demo.scale.ask_starts)
    embodiment = Embodiment.load(EMBODIMENTS[demo.suite])
    return [*training_stages(demo), *serving_stages(demo, goals, embodiment.rate, embodiment.cameras[0].topic)]


def _conclude(
    demo: Demo, stages: list[Stage], finished: dict[str, Finished], clock: Clock, worked: bool, console: Console
) -> Path:
    """Write results and report, print the table."""
    from polytask_cli.demo.report.report import write_report

    def results() -> dict[str, Any]:
        return assemble(demo, stages, finished, clock.now() if worked else clock.earlier)

    report = demo.output / "report.html"
    with console.status("writing the report"):
        write_report(report, results(), results)
    if worked:
        clock.keep()
    final = results()
    figures = all_figures(final)
    notes = make_notes(final, figures)
    final |= {"figures": [row.to_json() for row in figures], "notes": notes}
    write_json(demo.output / "results.json", final, indent=1)
    console.print(phases_table(final["phases"], final["wall"]["total"]))
    console.print(figures_table(figures, "what was measured"))
    console.print(f"[bold]{verdict(figures)}[/]", soft_wrap=True)
    for note in notes:
        console.print(f"- {note}", markup=False)
    console.print(f"report: {report}\nnumbers: {demo.output / 'results.json'}", soft_wrap=True)
    return report


@contextlib.contextmanager
def _owned(demo: Demo) -> Iterator[None]:
    """Make the output folder this run's: no second run at once, no run with other settings."""
    try:
        demo.output.mkdir(parents=True, exist_ok=True)
        lock = (demo.output / ".lock").open("w")
    except OSError as error:
        raise DemoError(f"cannot write to {demo.output}: {error.strerror}; name another with --output") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise DemoError(f"another demo is running in {demo.output}; name another folder with --output") from error
        path, settings = demo.output / SETTINGS, json.loads(json.dumps(demo.settings()))
        if path.exists():
            kept = json.loads(path.read_text(encoding="utf-8"))
            differing = [key for key in settings if kept.get(key) != settings[key]]
            if differing:
                raise DemoError(
                    f"{demo.output} holds a demo with another {', '.join(differing)}; "
                    "delete it, or name another folder with --output"
                )
        else:
            write_json(path, settings, indent=1)
        yield


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """End on SIGTERM as on Ctrl-C."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
