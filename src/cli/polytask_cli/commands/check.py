"""`test` and `doctor`: is the code right, is the machine fit."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from polytask_cli.commands.common import console, repository, run_tool
from polytask_cli.processors import BUSY

if TYPE_CHECKING:
    from polytask_cli.run_record import Record

FEW = 8
"""Files whose failed tests are given another try; tests of a file share nodes, and fail together."""

INTERRUPTED, NOTHING_RAN = 2, 5
"""Statuses of pytest: stopped by Ctrl-C (or a file could not be imported); no test was selected."""


def test(
    context: typer.Context,
    quick: Annotated[bool, typer.Option("--quick", help="Leave out the slow tests (several nodes, learning).")] = False,
) -> None:
    """Check the code: ruff, mypy, import-linter, then all tests.

    Anything else on the command line goes to pytest, in place of the default folders where it names files:
    `./polytask test src/policy -k goal -x`. The linters are then left out.
    """
    from polytask_cli.run_record import Record  # it imports pytest, which a robot has not

    root, python = repository(), sys.executable
    if context.args:
        raise typer.Exit(
            run_tool([python, "-m", "pytest", *(["-m", "not slow"] if quick else []), *context.args], root)
        )
    failed, took = [], []

    def finish(title: str, began: float, good: bool) -> None:
        took.append(f"{title} {time.monotonic() - began:.0f} s")
        if not good:
            failed.append(title)

    for title, tool in (
        ("ruff check", ["-m", "ruff", "check", "."]),
        ("ruff format", ["-m", "ruff", "format", "--check", "."]),
        ("mypy", ["-m", "mypy"]),
        ("import-linter", [str(Path(python).with_name("lint-imports")), "--no-cache"]),  # who may import whom
    ):
        began = time.monotonic()
        console.rule(title)
        finish(title, began, run_tool([python, *tool], root) == 0)

    # Tests of nodes mostly wait, so two processes share the cores well; a file's tests share their nodes, and stay
    # together. Those that measure time run alone afterwards.
    slow = " and not slow" if quick else ""
    record, statuses = Record(), []
    for title, options, wanted in (
        ("pytest", ["-n", "2", "--dist", "loadfile", "-m", "not alone" + slow], []),
        ("pytest, one at a time", ["-n", "1", "-m", "alone" + slow], files_with_the_mark(root, "alone")),
    ):
        began = time.monotonic()
        console.rule(title)
        statuses.append(run_pytest(root, options, record, wanted))
        finish(title, began, statuses[-1] in (0, 1, NOTHING_RAN))
        if statuses[-1] == INTERRUPTED:
            break
    else:
        began = time.monotonic()
        again = second_try(root, record)
        sentences, good = verdict(record, again, allowed_to_be_flaky(root))
        for sentence in sentences:
            console.print(sentence, markup=False, soft_wrap=True)
        finish("verdict on the tests", began, good and set(statuses) != {NOTHING_RAN})
    console.print(("took: " + ", ".join(took)), style="dim")
    if failed:
        console.print(f"[red]failed:[/] {', '.join(failed)}")
        raise typer.Exit(1)


def files_with_the_mark(root: Path, mark: str) -> list[str]:
    """Test files that use a mark: to import all the others in order to leave them out takes half a minute."""
    files = [path for folder in ("src", "test") for path in sorted((root / folder).rglob("test_*.py"))]
    return [str(path.relative_to(root)) for path in files if f"mark.{mark}" in path.read_text()]


def run_pytest(root: Path, options: Sequence[str], record: Record, wanted: Sequence[str] = ()) -> int:
    """Run the wanted tests, or all, then those that a lost worker left behind, until all have run.

    Args:
        root: where to run.
        options: of pytest.
        record: is added to.
        wanted: files and names of tests.

    Returns:
        The status of pytest: 1 where tests have failed, which the record names.
    """
    from polytask_cli.run_record import Record

    broken = 0
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "record.json")
        plugin = ["-p", "polytask_cli.run_record", f"--record={file}", "--max-worker-restart=0"]
        while True:
            file.unlink(missing_ok=True)
            code = run_tool([sys.executable, "-m", "pytest", *plugin, *options, *wanted], root)
            part = Record.read(file)
            record.failed += part.failed
            record.crashed += part.crashed
            record.others = max(record.others, part.others)
            if code == 1 and not (part.failed or part.crashed):
                code = 3  # none of a test's
            if code not in (0, 1, NOTHING_RAN):
                broken = code
            if code == INTERRUPTED or part.missed in ([], list(wanted)):
                record.missed += part.missed
                return broken or code
            wanted = part.missed
            console.rule(f"pytest, {len(wanted)} tests that had no turn because a worker was lost")


def second_try(root: Path, record: Record) -> Record:
    """Run what failed again, alone: nodes on a busy machine may miss a test's patience.

    In a process of its own, since tests of a file share nodes. Failures spread over more than a few files are not
    caused by a busy machine; nor is a crash.
    """
    from polytask_cli.run_record import Record

    again = Record()
    failed = [name for name in record.failed if name not in record.crashed]
    if not 0 < len({name.partition("::")[0] for name in failed}) <= FEW:
        again.failed = failed
    else:
        console.rule("pytest, what failed once more")
        if run_pytest(root, ["-n", "1"], again, failed) not in (0, 1):
            again.failed = failed
    return again


def allowed_to_be_flaky(root: Path) -> set[str]:
    """Names of the files and tests in test/flaky.txt."""
    lines = (root / "test" / "flaky.txt").read_text().splitlines()
    return {line.strip() for line in lines if line.strip() and not line.startswith("#")}


def verdict(record: Record, again: Record, allowed: set[str]) -> tuple[list[str], bool]:
    """What is to be said of a run and its second try, and whether the tests have passed."""
    bad = {
        "took its process with it": {*record.crashed, *again.crashed},
        "never ran": {*record.missed, *again.missed},
        "failed": {*again.failed} - {*again.crashed},
    }
    sentences = [f"{fault}: {name}" for fault, names in bad.items() for name in sorted(names)]
    good = not sentences
    flaky = sorted({*record.failed}.difference(*bad.values()))
    sentences += [f"flaky: {name}" for name in flaky]
    if unknown := [name for name in flaky if not {name, name.partition("::")[0]} & allowed]:
        if record.others > BUSY:
            sentences.append(f"no verdict on what was flaky: other programs had {record.others:.0%} of the processors")
        else:
            good = False
            sentences.append(f"{len(unknown)} flaky and not in test/flaky.txt, which only shrinks: mend test or code")
    return sentences, good


def doctor() -> None:
    """Say what is installed, and try what has to work: rendering, topics between processes, disk, cores."""
    from polytask_cli.doctor import examine

    raise typer.Exit(examine())


def register(app: typer.Typer) -> None:
    """Add the commands."""
    passing = {"allow_extra_args": True, "ignore_unknown_options": True}
    app.command(context_settings=passing, rich_help_panel="Checks")(test)
    app.command(rich_help_panel="Checks")(doctor)
