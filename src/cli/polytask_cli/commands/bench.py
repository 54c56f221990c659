"""`bench`: how quick the parts are, as ratios measured in one run, which another machine can be held to."""

from __future__ import annotations

import json
import os
import platform
import time
from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from polytask_cli import benchmarks
from polytask_cli.commands.common import console, fail


class Part(str, Enum):
    """What can be measured, called as the functions of ``benchmarks``."""

    control = "control"
    pictures = "pictures"
    batches = "batches"
    transport = "transport"
    policy = "policy"
    pixels = "pixels"
    frames = "frames"
    parallel = "parallel"


def bench(
    parts: Annotated[list[Part] | None, typer.Argument(help="Only these; all when none is named.")] = None,
    output: Annotated[Path | None, typer.Option(help="JSON file for the ratios and what they were made from.")] = None,
) -> None:
    """Measure how quick the parts are: control through ROS, pictures, optimal transport, the policy, learning.

    All take one to three minutes. Each line is a ratio of two speeds measured in turns, since what a machine does in
    a second says little about another, or about the same one when it is busy. Parts that need several cores at once,
    control and parallel, are not measured where other programs use these. pixels is measured on a GPU where there is
    one.
    """
    if output is not None and not output.absolute().parent.is_dir():
        fail(f"there is no folder {output.absolute().parent} to write {output.name} into")
    ratios: list[benchmarks.Ratio] = []
    raw: dict[str, Any] = {}
    began = time.monotonic()
    given = benchmarks.share()
    if given < benchmarks.QUIET:
        console.print(f"The machine is busy: its cores give {given:.0%} of their time, so ratios are less certain.")
    with console.status("") as status:
        for part in parts or Part:
            status.update(f"measuring: {part.value}")
            try:
                found, raw[part.value] = getattr(benchmarks, part.value)()
            except benchmarks.NotMeasured as reason:
                console.print(f"{part.value}: not measured, {reason}")
                continue
            ratios += found
    table = Table("ratio", "what", "against", "measured", box=None)
    for ratio in ratios:
        table.add_row(f"[bold]{ratio.value:.2f}[/]", ratio.what, ratio.against, ratio.detail)
    console.print(table)
    console.print(f"{time.monotonic() - began:.0f} s", style="dim")
    if output is not None:
        from polytask_trainer.experiments.framework.run import versions

        load = os.getloadavg()[0]
        machine = {
            "processor": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "load": load,
            "share": given,
        }
        content = {
            "machine": machine,
            "versions": versions(),
            "ratios": [asdict(ratio) for ratio in ratios],
            "measured": raw,
        }
        temporary = output.with_name(f".{output.name}.tmp")
        temporary.write_text(json.dumps(content, indent=1) + "\n")
        os.replace(temporary, output)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Checks")(bench)
