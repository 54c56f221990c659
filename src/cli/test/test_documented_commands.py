"""Every command that the documentation shows is one: its options, their values and its arguments exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer
from typer.main import get_command

from polytask_cli.cli import app
from polytask_cli.launch_runner import find_launch_file, list_arguments
from polytask_suites import SUITES, load_suite
from polytask_trainer.experiments import EXPERIMENTS

UsageError = typer.BadParameter.__base__  # which typer does not name itself
ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
WITHIN = re.compile(r"`\./polytask ([^`]+)`")
STANDS_FOR_SOMETHING = re.compile(r"\b[A-Z]+\b|…")


def shown(page: Path) -> list[str]:
    """Commands of a page's code blocks, and those of its text that say more than a name and no NAME for something."""
    text = page.read_text(encoding="utf-8")
    lines = [line for block in BLOCK.findall(text) for line in block.replace("\\\n", " ").splitlines()]
    found = [line.removeprefix("./polytask ") for line in lines if line.startswith("./polytask ")]
    within = [" ".join(part.split()) for part in WITHIN.findall(BLOCK.sub("", text))]
    return found + [part for part in within if " " in part and not STANDS_FOR_SOMETHING.search(part)]


COMMANDS = [
    pytest.param(line, id=f"{page.relative_to(ROOT)}: {line[:60]}")
    for page in PAGES
    for line in dict.fromkeys(shown(page))
]


def parsed(line: str) -> tuple[str, dict[str, object]]:
    """The command and its values, as it would be called with; raises UsageError. Nothing is run."""
    group = get_command(app)
    with group.make_context("polytask", shlex.split(line, comments=True)) as context:
        name, command, rest = group.resolve_command(context, [*context._protected_args, *context.args])
        with command.make_context(name, rest, parent=context) as inner:
            return name, inner.params


@pytest.mark.parametrize("line", COMMANDS)
def test_a_documented_command_can_be_called(line):
    name, values = parsed(line)
    if name == "experiment" and values["name"]:
        assert values["name"] in EXPERIMENTS
    if "suite" in values:
        assert values["suite"] in SUITES
        if name in ("learn", "record"):
            named = values["task"] if isinstance(values["task"], list | tuple) else [values["task"]]
            assert {str(task) for task in named} <= set(load_suite(str(values["suite"])).tasks)
    if name in ("up", "serve"):
        file = find_launch_file(str(values.get("launch_file", "serve")))
        given = values["arguments"] or ()
        assert isinstance(given, list | tuple)
        assert {argument.partition(":=")[0] for argument in given} <= {known.name for known in list_arguments(file)}


def test_the_documentation_shows_commands():
    names = {line.split()[0] for page in PAGES for line in shown(page)}
    assert {"demo", "test", "record", "learn", "distill", "serve", "ask", "experiment", "evaluate", "up"} <= names


@pytest.mark.parametrize(
    "line",
    [
        "learn drawer-open --sweep 3",
        "learn drawer-open --method none",
        "evaluate runs/expert drawer-open",
        "record",
        "experiment multitask --budget large",
        "sing",
    ],
)
def test_what_does_not_fit_is_noticed(line):
    with pytest.raises(UsageError):
        parsed(line)
