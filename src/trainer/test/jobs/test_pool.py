"""Several jobs at once from a program that gets Ctrl-C."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console
from tiny import write_demonstration, write_settings

from polytask_trainer.jobs.pool import JobEnded, run_jobs
from polytask_trainer.jobs.spec import EvaluateJob, LearnJob

TASKS = ("drawer-open", "drawer-close")
PROGRAM = """
import json, sys
from rich.console import Console
from polytask_trainer.jobs.pool import JobEnded, run_jobs
from polytask_trainer.jobs.spec import from_dict
jobs = {name: from_dict(job) for name, job in json.loads(sys.argv[1]).items()}
try:
    print(json.dumps(run_jobs(jobs, Console(stderr=True, force_terminal=True), parallel=2)))
except JobEnded as error:
    print(error.ending.how)
    print(error, file=sys.stderr)
    sys.exit(130)
"""

pytestmark = pytest.mark.slow


def lines_of(folder: Path) -> int:
    file = folder / "progress.jsonl"
    return len(file.read_text().splitlines()) if file.exists() else 0


@pytest.mark.timed
def test_two_at_once_stopped_by_ctrl_c_and_resumed(tmp_path):
    settings = write_settings(tmp_path, steps=150)
    jobs = {}
    for task in TASKS:
        dataset = write_demonstration(tmp_path / "dataset", task)
        jobs[task] = LearnJob(task, str(dataset), str(tmp_path / task), settings=str(settings), steps=500)
    said = json.dumps({task: {"kind": "learn", **vars(job)} for task, job in jobs.items()})
    command = [sys.executable, "-c", PROGRAM, said]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while min(lines_of(tmp_path / task) for task in TASKS) < 4:
        assert process.poll() is None
    workers = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True).stdout.split()
    assert len(workers) == 2
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=6)
    assert (process.returncode, out.strip()) == (130, "stopped")
    assert not any(Path(f"/proc/{worker}").exists() for worker in workers)
    assert all((tmp_path / task / "training" / "checkpoint.json").exists() for task in TASKS)
    with pytest.raises(JobEnded, match="other settings"):
        run_jobs(
            {
                "x": LearnJob(
                    "drawer-open",
                    jobs["drawer-open"].demonstrations,
                    str(tmp_path / "drawer-open"),
                    settings=str(settings),
                )
            },
            Console(quiet=True),
        )
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    assert {task: result["finished"] for task, result in results.items()} == dict.fromkeys(TASKS, True)
    tried = run_jobs(
        {task: EvaluateJob(str(tmp_path / task), task, episodes=2) for task in TASKS}, Console(quiet=True), parallel=2
    )
    assert all(result["episodes"] == 2 and 0 <= result["success"] <= 1 for result in tried.values())
    with pytest.raises(JobEnded, match="an expert of 'drawer-open'"):
        run_jobs({"x": EvaluateJob(str(tmp_path / "drawer-open"), "reach")}, Console(quiet=True))
