"""The demo's stages in processes of their own: order, resuming, failing, ending."""

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

from polytask_cli.demo.options import DemoError
from polytask_cli.demo.scheduler import Clock, Finished, Stage, run_stages
from polytask_trainer.jobs.spec import CallJob

WORK = """
import json, os, subprocess, sys, time
from pathlib import Path

def note(name, file, sleep, on_progress):
    print("noise on standard output")
    on_progress({"step": 1, "total_steps": 2, "phase": "half"})
    time.sleep(sleep)
    with open(file, "a") as notes:
        notes.write(json.dumps([name, time.monotonic()]) + "\\n")
    return {"name": name, "domain": os.environ["ROS_DOMAIN_ID"]}

def fail(on_progress):
    raise RuntimeError("the cup is broken")

def hang(file, on_progress):
    child = subprocess.Popen(["sleep", "60"])
    Path(file).write_text(f"{child.pid}")
    try:
        time.sleep(60)
    finally:
        Path(file + ".cleaned").touch()

def patient(file, on_progress, should_stop):
    Path(file).write_text("started")
    while not should_stop():
        time.sleep(0.01)
    Path(file).write_text("saved")
    return {"finished": False}
"""


class Silent:
    def __init__(self) -> None:
        self.ended: list[tuple[str, bool]] = []
        self.phases: list[str] = []

    def begin(self, name: str) -> None:
        pass

    def update(self, name: str, report: dict[str, Any]) -> None:
        self.phases.append(report["phase"])

    def end(self, name: str) -> None:
        self.ended.append((name, False))

    def skip(self, name: str) -> None:
        self.ended.append((name, True))


@pytest.fixture(autouse=True)
def duties(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers find their functions in a module of the test's own."""
    (tmp_path / "duties.py").write_text(WORK)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")


def run(stages: list[Stage], folder: Path) -> tuple[dict[str, Finished], Silent]:
    display, output = Silent(), folder / "out"
    return run_stages(stages, output, Clock(output / "clock.json"), display), display


def call(
    name: str,
    folder: Path,
    function: str,
    arguments: dict[str, Any],
    needs: tuple[str, ...] = (),
    alone: bool = False,
) -> Stage:
    job = CallJob(f"duties:{function}", arguments, str(folder / "out" / "jobs" / name), polls=False)
    return Stage(name, "phase", job, needs, alone)


def note(name: str, folder: Path, needs: tuple[str, ...] = (), alone: bool = False, sleep: float = 0) -> Stage:
    return call(name, folder, "note", {"name": name, "file": str(folder / "notes"), "sleep": sleep}, needs, alone)


def notes(folder: Path) -> list[str]:
    return [json.loads(line)[0] for line in (folder / "notes").read_text().splitlines()]


def test_stages_run_in_order_and_are_not_run_again(tmp_path: Path) -> None:
    stages = [note("c", tmp_path, needs=("a", "b")), note("a", tmp_path), note("b", tmp_path, alone=True)]
    finished, display = run(stages, tmp_path)
    assert notes(tmp_path) == ["a", "b", "c"]
    assert finished["c"].result["name"] == "c"
    assert 51 <= int(finished["c"].result["domain"]) <= 100
    assert finished["a"].end <= finished["b"].start
    assert "half" in display.phases
    stages[1] = note("a", tmp_path, sleep=0.01)  # other arguments: done again
    finished, display = run(stages, tmp_path)
    assert notes(tmp_path) == ["a", "b", "c", "a"]
    assert display.ended == [("c", True), ("b", True), ("a", False)]
    assert finished["b"].earlier
    assert Clock(tmp_path / "out" / "clock.json").earlier > 0


def test_stages_that_run_beside_each_other_have_ros_domains_of_their_own(tmp_path: Path) -> None:
    finished, _ = run([note("a", tmp_path, sleep=1.0), note("b", tmp_path, sleep=1.0)], tmp_path)
    assert finished["a"].start < finished["b"].end
    assert finished["b"].start < finished["a"].end
    assert finished["a"].result["domain"] != finished["b"].result["domain"]


def test_a_failing_stage_ends_the_demo_with_its_reason(tmp_path: Path) -> None:
    slow = call("slow", tmp_path, "hang", {"file": str(tmp_path / "pid")})
    with pytest.raises(DemoError, match="the cup is broken") as failed:
        run([call("bad", tmp_path, "fail", {}), slow], tmp_path)
    assert str(failed.value).startswith("bad: RuntimeError: the cup is broken. The end of ")
    assert '    raise RuntimeError("the cup is broken")' in str(failed.value)


INTERRUPTED = """
import sys
from pathlib import Path
from polytask_cli.demo.scheduler import Clock, Stage, run_stages
from polytask_trainer.jobs.spec import CallJob

class Silent:
    begin = update = end = lambda self, *args, **kwargs: None

def stage(name, polls):
    return Stage(name, "phase", CallJob(f"duties:{name}", {"file": str(out / name)}, str(out / "jobs" / name), polls))

out = Path(sys.argv[1])
run_stages([stage("hang", False), stage("patient", True)], out, Clock(out / "clock.json"), Silent())
"""


@pytest.mark.timed
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_after_ctrl_c_or_a_kill(tmp_path: Path, number: signal.Signals) -> None:
    out = tmp_path / "out"
    out.mkdir()
    process = subprocess.Popen([sys.executable, "-c", INTERRUPTED, str(out)], stderr=subprocess.DEVNULL)
    wait_until(lambda: (out / "hang").exists() and (out / "patient").exists())
    began = time.monotonic()
    process.send_signal(number)
    process.wait(60)
    wait_until(lambda: (out / "patient").read_text() == "saved", 5)
    assert time.monotonic() - began < 15  # five on a machine of its own, which a test cannot count on
    wait_until(lambda: (out / "hang.cleaned").exists(), 5)
    if number == signal.SIGINT:  # a killed demo cannot clean up after a stage's own children
        child = int((out / "hang").read_text())
        wait_until(lambda: not Path(f"/proc/{child}").exists() or "Z" in Path(f"/proc/{child}/stat").read_text(), 5)


def wait_until(done: Any, seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.02)
