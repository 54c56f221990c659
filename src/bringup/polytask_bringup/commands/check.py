"""`test` and `doctor`: is the code right, is the machine fit."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from polytask_bringup.commands.common import console, repository, run_tool

FEW = 4
"""Files whose failed tests are given another try; tests of a file share nodes, and fail together."""


def test(
    context: typer.Context,
    quick: Annotated[bool, typer.Option("--quick", help="Leave out the slow tests (several nodes, learning).")] = False,
) -> None:
    """Check the code: ruff, mypy, then all tests.

    Anything else on the command line goes to pytest, in place of the default folders where it names files:
    `./polytask test src/policy -k goal -x`. The linters are then left out.
    """
    root = repository()
    python = sys.executable
    steps: list[tuple[str, list[str]]] = []
    if not context.args:
        steps = [
            ("ruff check", [python, "-m", "ruff", "check", "."]),
            ("ruff format", [python, "-m", "ruff", "format", "--check", "."]),
            ("mypy", [python, "-m", "mypy"]),
        ]
    marks = "not slow" if quick else ""
    pytest = [python, "-m", "pytest", *(["-m", marks] if marks else []), *context.args]
    if not context.args:
        # Tests of nodes mostly wait, so two processes share the cores well; a file's tests share their nodes, and stay
        # together. Those that measure time run alone afterwards.
        together = "not alone" + (" and not slow" if quick else "")
        alone = "alone" + (" and not slow" if quick else "")
        steps.append(("pytest", [python, "-m", "pytest", "-n", "2", "--dist", "loadfile", "-m", together]))
        pytest = [python, "-m", "pytest", "-m", alone]
    steps.append(("pytest, one at a time" if not context.args else "pytest", pytest))
    failed, took = [], []
    for title, command in steps:
        began = time.monotonic()
        console.rule(title)
        code = run_tool(command, root)
        if code == 1 and title.startswith("pytest") and not context.args:
            code = _once_more(python, root)
        took.append(f"{title} {time.monotonic() - began:.0f} s")
        if code == 5 and "alone" in command[-1]:
            code = 0  # nothing carries the mark
        if code != 0:
            failed.append(title)
        if code in (2, 130) and title.startswith("pytest"):
            break  # Ctrl-C
    console.print(("took: " + ", ".join(took)), style="dim")
    if failed:
        console.print(f"[red]failed:[/] {', '.join(failed)}")
        raise typer.Exit(1)


def _once_more(python: str, root: Path) -> int:
    """Run what failed again, alone, and say so: nodes on a busy machine may miss a test's patience. Gives the status.

    In a process of its own, since tests of a file share nodes. Failures in more than a few files are none of a busy
    machine's.
    """
    try:
        names = list(json.loads((root / ".pytest_cache/v/cache/lastfailed").read_text()))
    except (OSError, ValueError):
        return 1
    if not 0 < len({name.partition("::")[0] for name in names}) <= FEW:
        return 1
    console.rule("pytest, what failed once more")
    code = run_tool([python, "-m", "pytest", "--last-failed", "--last-failed-no-failures", "none"], root)
    if code == 0:
        console.print("[yellow]passed only when run again, alone:[/] " + ", ".join(names), soft_wrap=True)
    return code


def doctor() -> None:
    """Say what is installed, and try what has to work: rendering, topics between processes, disk, cores."""
    from polytask_bringup.doctor import examine

    raise typer.Exit(examine())


def register(app: typer.Typer) -> None:
    """Add the commands."""
    passing = {"allow_extra_args": True, "ignore_unknown_options": True}
    app.command(context_settings=passing, rich_help_panel="Checks")(test)
    app.command(rich_help_panel="Checks")(doctor)
