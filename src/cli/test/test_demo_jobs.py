"""Jobs in processes of their own: order, resuming, failing, ending."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from polytask_cli.demo.jobs.runner import Clock, Job, Runner
from polytask_cli.demo.options import DemoError

WORK = """
import json, subprocess, sys, time
from pathlib import Path

def note(spec, report):
    print("noise on standard output")
    report(1, 2, "half")
    time.sleep(spec.get("sleep", 0))
    with open(spec["file"], "a") as file:
        file.write(json.dumps([spec["name"], time.monotonic()]) + "\\n")
    return {"name": spec["name"], "heard": sorted(report.results)}

def fail(spec, report):
    raise RuntimeError("the cup is broken")

def hang(spec, report):
    child = subprocess.Popen(["sleep", "60"])
    Path(spec["file"]).write_text(f"{child.pid}")
    time.sleep(60)

def patient(spec, report):
    report.patient = True
    Path(spec["file"]).write_text("started")
    while not report.stopping:
        time.sleep(0.01)
    Path(spec["file"]).write_text("saved")
    return {}
"""


class Silent:
    def __init__(self) -> None:
        self.ended: list[tuple[str, bool]] = []
        self.updates: list[str] = []

    def begin(self, job: Job) -> None:
        pass

    def update(self, job: Job, done: float, total: float, text: str) -> None:
        self.updates.append(text)

    def end(self, job: Job, seconds: float, earlier: bool) -> None:
        self.ended.append((job.name, earlier))


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runner:
    """Workers that find their functions in a module of the test's own."""
    (tmp_path / "duties.py").write_text(WORK)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    return make_runner(tmp_path)


def make_runner(tmp_path: Path) -> Runner:
    return Runner(tmp_path / "out", Clock(tmp_path / "out" / "clock.json"), Silent())


def note(name: str, folder: Path, needs: tuple[str, ...] = (), alone: bool = False, **spec: Any) -> Job:
    spec = {"name": name, "file": str(folder / "notes"), **spec}
    return Job(name, "phase", "duties:note", spec, needs, alone)


def notes(folder: Path) -> list[str]:
    return [json.loads(line)[0] for line in (folder / "notes").read_text().splitlines()]


def test_jobs_run_in_order_and_are_not_run_again(runner: Runner, tmp_path: Path) -> None:
    jobs = [note("c", tmp_path, needs=("a", "b")), note("a", tmp_path), note("b", tmp_path, alone=True)]
    finished = runner.run(jobs)
    assert notes(tmp_path) == ["a", "b", "c"]
    assert finished["c"].result == {"name": "c", "heard": ["a", "b"]}
    assert finished["a"].end <= finished["b"].start
    assert "half" in runner.display.updates
    again = make_runner(tmp_path)
    jobs[1] = note("a", tmp_path, sleep=0.01)  # other settings: done again
    finished = again.run(jobs)
    assert notes(tmp_path) == ["a", "b", "c", "a"]
    assert again.display.ended == [("c", True), ("b", True), ("a", False)]
    assert finished["b"].earlier
    assert again.clock.earlier > 0


def test_a_failing_job_ends_the_demo_with_its_reason(runner: Runner, tmp_path: Path) -> None:
    slow = Job("slow", "phase", "duties:hang", {"file": str(tmp_path / "pid")})
    with pytest.raises(DemoError, match="the cup is broken"):
        runner.run([Job("bad", "phase", "duties:fail", {}), slow])


def test_jobs_that_wait_for_nothing_are_told(runner: Runner, tmp_path: Path) -> None:
    with pytest.raises(DemoError, match="never comes"):
        runner.run([note("a", tmp_path, needs=("b",))])


INTERRUPTED = """
import sys
from pathlib import Path
from polytask_cli.demo.jobs.runner import Clock, Job, Runner

class Silent:
    begin = update = end = lambda self, *args, **kwargs: None

out = Path(sys.argv[1])
Runner(out, Clock(out / "clock.json"), Silent()).run([
    Job("hang", "phase", "duties:hang", {"file": str(out / "hang")}),
    Job("patient", "phase", "duties:patient", {"file": str(out / "patient")}),
])
"""


@pytest.mark.timed
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_after_ctrl_c_or_a_kill(runner: Runner, tmp_path: Path, number: signal.Signals) -> None:
    out = tmp_path / "out"
    out.mkdir()
    process = subprocess.Popen([sys.executable, "-c", INTERRUPTED, str(out)], stderr=subprocess.DEVNULL)
    wait_until(lambda: (out / "hang").exists() and (out / "patient").exists())
    began = time.monotonic()
    process.send_signal(number)
    process.wait(60)
    wait_until(lambda: (out / "patient").read_text() == "saved", 5)
    assert time.monotonic() - began < 15  # five on a machine of its own, which a test cannot count on
    if number == signal.SIGINT:  # a killed demo cannot clean up after a job's own children
        child = int((out / "hang").read_text())
        wait_until(lambda: not Path(f"/proc/{child}").exists() or "Z" in Path(f"/proc/{child}/stat").read_text(), 5)


def wait_until(done: Any, seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.02)
