"""`./polytask docs`: its tools are installed once, from a lock that agrees with the project's."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from polytask_cli.commands import docs
from polytask_cli.environment import packages
from polytask_cli.environment.layout import SetupError
from polytask_cli.environment.progress import CommandFailed

ROOT = Path(__file__).resolve().parents[3]


def lines(name: str) -> list[str]:
    return [line for line in (ROOT / name).read_text().splitlines() if line and not line.startswith("#")]


def name_of(line: str) -> str:
    return line.partition("==")[0]


def test_the_lock_is_exact_and_agrees_with_the_projects():
    here, project = lines("requirements-docs.lock"), lines("requirements.lock")
    exact = re.compile(r"^[a-z0-9-]+==[a-z0-9.]+( ; python_version (<|>=) \"3\.\d+\")?$")
    assert [line for line in here if not exact.match(line)] == []
    shared = {name_of(line) for line in project}
    # Six and typing-extensions: only an old Python needs them here.
    other = [line for line in here if name_of(line) in shared and line not in project]
    assert [line for line in other if line.partition(" ;")[0] not in project] == []


def instead(monkeypatch, run):
    for module in (docs, packages):
        monkeypatch.setattr(module, "run", run)


@pytest.fixture
def commands(tmp_path, monkeypatch):
    """What was run, in place of running it."""
    done: list[list[str]] = []

    def run(command, step, log, **options):
        done.append(list(command))
        (tmp_path / ".venv-docs").mkdir(exist_ok=True)
        log.touch()

    instead(monkeypatch, run)
    (tmp_path / "requirements-docs.lock").write_text("mkdocs==1.6.1\n")
    return done


def test_the_tools_are_installed_once_and_again_when_the_lock_changes(tmp_path, commands):
    python = str(tmp_path / ".venv-docs" / "bin" / "python")
    assert docs.provide_tools(tmp_path) == Path(python)
    assert [command[:3] for command in commands] == [[sys.executable, "-m", "venv"], [python, "-m", "pip"]]
    assert commands[1][-3:] == ["--no-deps", "-r", str(tmp_path / "requirements-docs.lock")]
    docs.provide_tools(tmp_path)
    assert len(commands) == 2
    (tmp_path / "requirements-docs.lock").write_text("mkdocs==1.6.2\n")
    docs.provide_tools(tmp_path)
    assert len(commands) == 4


def test_what_could_not_be_installed_is_tried_again_and_named(tmp_path, commands, monkeypatch):
    working = docs.run

    def fail(command, step, log, **options):
        working(command, step, log)
        if "pip" in command:
            raise CommandFailed(command, 1, ["ERROR: No matching distribution found for mkdocs==1.6.1"], log)

    instead(monkeypatch, fail)
    with pytest.raises(SetupError, match=r"No matching distribution found for mkdocs==1\.6\.1"):
        docs.provide_tools(tmp_path)
    instead(monkeypatch, working)
    docs.provide_tools(tmp_path)
    assert len(commands) == 4
