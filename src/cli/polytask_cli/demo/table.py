"""The table of figures on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from polytask_cli.demo.report.figures import Figure

VERDICTS = {True: ("ok", "green"), False: ("missed", "bold red"), None: ("not measured", "yellow")}


def figures_table(figures: Sequence[Figure], title: str) -> Table:
    """One row per figure: what, must reach, measured with its interval, verdict."""
    table = Table(title=title, title_justify="left", title_style="bold", caption_justify="left")
    table.add_column("figure")
    table.add_column("must reach", justify="right")
    table.add_column("measured", justify="right")
    table.add_column("95 % interval, remarks", style="dim")
    table.add_column("")
    for row in figures:
        verdict, style = VERDICTS[row.reached]
        table.add_row(row.name, row.must, Text(row.shown, style=style), row.interval, Text(verdict, style=style))
    return table


def phases_table(phases: Sequence[dict[str, Any]], total: float) -> Table:
    """What takes how long."""
    table = Table(title="what took how long", title_justify="left", title_style="bold")
    table.add_column("phase")
    table.add_column("seconds", justify="right")
    table.add_column("")
    for phase in phases:
        remark = "from an earlier run" if phase["earlier"] else ""
        table.add_row(phase["title"], f"{phase['seconds']:.0f}", remark)
    table.add_row("all", f"{total:.0f}", "", style="bold")
    return table


def verdict(figures: Sequence[Figure]) -> str:
    """One line: how many figures were reached."""
    reached = sum(row.reached is True for row in figures)
    missed = [row.name for row in figures if row.reached is False]
    line = f"{reached} of {len(figures)} figures reached"
    return line + (f"; missed: {', '.join(missed)}" if missed else "")
