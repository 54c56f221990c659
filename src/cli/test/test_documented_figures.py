"""What the front page says of the demo is what a published run measured."""

from __future__ import annotations

import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
ROWS = {
    "the whole demo": "wall",
    "experts": "experts",
    "the one policy, asked in words": "words",
    "… by a picture": "image",
    "… by name": "name",
    "… in sentences": "heldout",
    "control": "nogoal",
    "asked for a different task": "other",
    "observation → command": "latency",
    "lock-step": "lockstep",
}
"""Keys of the demo's figures by how the rows of the table begin."""


def test_the_front_page_shows_the_figures_of_the_run_it_names():
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    [run] = re.findall(r"\(docs/results/(demo_tabletop_\d+\.json)\)", page)
    figures = {one["key"]: one for one in json.loads((ROOT / "docs/results" / run).read_text())["figures"]}
    table = re.findall(r"^\| (.+?) \| ([≤≥].+?) \| \*\*(.+?)\*\*(.*) \|$", page, re.MULTILINE)
    found = {next(key for start, key in ROWS.items() if row.startswith(start)): rest for row, *rest in table}
    assert set(found) == set(ROWS.values())
    for key, (must, shown, more) in found.items():
        assert (must, shown) == (figures[key]["must"], figures[key]["shown"])
        for worst in re.findall(r"weakest task (\d+) %", more):
            assert float(worst) == float(figures[f"{key}_worst"]["shown"].removesuffix(" %"))
        for period in re.findall(r"longest period ([\d.]+ ms)", more):
            assert period in figures["overrun"]["interval"]
