"""What others take of the processors, and what a test that compares times says then."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from polytask_cli.processors import Processors

CONFTEST = Path(__file__).parents[3] / "conftest.py"


def test_the_share_of_others() -> None:
    before = Processors(total=100.0, busy=40.0, ours=10.0)
    after = Processors(total=120.0, busy=55.0, ours=14.0)  # of 20 s of all processors, 15 were used, 4 by us
    assert after.others_since(before) == pytest.approx(0.55)
    assert before.others_since(before) == 0.0
    assert Processors(120.0, 41.0, 14.0).others_since(before) == 0.0  # clocks of /proc tick coarsely


BURN = "import time\nuntil = time.process_time() + 0.5\nwhile time.process_time() < until: pass\n"


def test_what_a_run_spends_is_its_own_also_in_children_that_have_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POLYTASK_TEST_RUN", str(os.getpid()))
    before = Processors.now()
    subprocess.run([sys.executable, "-c", f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {BURN!r}])"])
    after = Processors.now()
    assert 0.4 < after.ours - before.ours < 5  # /proc counts in ticks
    assert 0.4 < after.busy - before.busy < after.total - before.total + 0.1


def test_what_another_run_spends_is_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    with subprocess.Popen(["sleep", "60"]) as other:
        monkeypatch.setenv("POLYTASK_TEST_RUN", str(other.pid))
        before = Processors.now()
        subprocess.run([sys.executable, "-c", BURN])
        after = Processors.now()
        other.kill()
    assert after.ours - before.ours < 0.2


TESTS = """
import pytest
from polytask_cli.processors import Processors

@pytest.mark.parametrize(
    "share",
    [
        pytest.param(0.05, marks=pytest.mark.alone, id="alone-quiet"),
        pytest.param(0.63, marks=pytest.mark.alone, id="alone-busy"),
        pytest.param(0.05, marks=pytest.mark.timed, id="timed-quiet"),
        pytest.param(0.63, marks=pytest.mark.timed, id="timed-busy"),
        pytest.param(0.63, id="neither-busy"),
    ],
)
def test_it(monkeypatch, share):
    monkeypatch.setattr(Processors, "others_since", lambda after, before: share)
    assert 3 < 2

@pytest.mark.timed
def test_wrong(monkeypatch):
    monkeypatch.setattr(Processors, "others_since", lambda after, before: 0.63)
    raise ValueError
"""


def test_a_test_that_compares_times_does_not_judge_on_a_busy_machine(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = \n    alone\n    timed\n")
    (tmp_path / "test_it.py").write_text(TESTS)
    (tmp_path / "conftest.py").write_text(
        CONFTEST.read_text().replace("Path(__file__).parent", f"Path({str(CONFTEST.parent)!r})")
    )
    command = [sys.executable, "-m", "pytest", "-v", "-rs"]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True).stdout
    outcomes = dict(line.split()[:2] for line in said.splitlines() if line.startswith("test_it.py::"))
    assert outcomes == {
        "test_it.py::test_it[alone-quiet]": "FAILED",
        "test_it.py::test_it[alone-busy]": "SKIPPED",
        "test_it.py::test_it[timed-quiet]": "FAILED",
        "test_it.py::test_it[timed-busy]": "SKIPPED",
        "test_it.py::test_it[neither-busy]": "FAILED",
        "test_it.py::test_wrong": "FAILED",
    }
    assert "could not judge: other programs had 63% of the processors (assert 3 < 2)" in said
