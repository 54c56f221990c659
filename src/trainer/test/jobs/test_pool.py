"""Several jobs at once from a program that gets Ctrl-C."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from tiny import write_demonstration, write_settings

from polytask_trainer.jobs.pool import JobEnded, run_jobs
from polytask_trainer.jobs.spec import CallJob, EvaluateJob, Job, LearnJob
from polytask_trainer.jobs.worker import Ending

TASKS = ("drawer-open", "drawer-close")
PROGRAM = """
import json, sys
from rich.console import Console
from polytask_trainer.jobs.display import Bars
from polytask_trainer.jobs.pool import JobEnded, run_jobs
from polytask_trainer.jobs.spec import from_dict
jobs = {name: from_dict(job) for name, job in json.loads(sys.argv[1]).items()}
try:
    with Bars(Console(stderr=True, force_terminal=True), len(jobs)) as bars:
        results = run_jobs(jobs, bars, parallel=2)
    print(json.dumps(results))
except JobEnded as error:
    print(error.ending.how)
    print(error, file=sys.stderr)
    sys.exit(130)
"""


class Silent:
    begin = update = end = lambda self, *_: None


def test_jobs_start_in_order_as_their_needs_are_met_and_some_alone():
    begun: list[tuple[str, int]] = []
    running: dict[str, object] = {}

    def start(job: Job, on_progress, on_end, *, title: str, slot: int):
        begun.append((title, slot))
        assert title != "alone" or not running
        assert "alone" not in running
        running[title] = job

        def finish() -> None:
            del running[title]
            on_end(Ending("finished", result={"title": title}))

        threading.Timer({"slow": 0.2}.get(title, 0.05), finish).start()
        return lambda: None

    titles = ("last", "slow", "quick", "alone", "third")
    needs = {"last": ["alone", "third"], "third": ["quick"]}
    jobs = {title: CallJob("m:f", {}, title) for title in titles}
    got: list[str] = []
    results = run_jobs(
        jobs, Silent(), 2, needs=needs, alone={"alone"}, on_result=lambda title, _: got.append(title), start=start
    )
    assert begun == [("slow", 0), ("quick", 1), ("third", 1), ("alone", 0), ("last", 0)]
    assert got == ["quick", "third", "slow", "alone", "last"]
    assert results == {title: {"title": title} for title in titles}


def test_jobs_that_wait_for_what_never_comes_are_told():
    with pytest.raises(ValueError, match=r"never comes: a, b"):
        run_jobs({"a": CallJob("m:f", {}, "a"), "b": CallJob("m:f", {}, "b")}, Silent(), needs={"a": ["b"], "b": ["c"]})


def test_a_killed_job_ends_the_others_and_says_so(tmp_path, monkeypatch):
    (tmp_path / "deadly.py").write_text(
        "import os, signal, time\n"
        "def die(on_progress):\n    os.kill(os.getpid(), signal.SIGKILL)\n"
        "def wait(on_progress):\n    time.sleep(60)\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}")
    jobs = {name: CallJob(f"deadly:{name}", {}, str(tmp_path / name), polls=False) for name in ("die", "wait")}
    with pytest.raises(JobEnded, match=r"die: its process ended without a word \(exit status -9\)"):
        run_jobs(jobs, Silent(), 2)


def lines_of(folder: Path) -> int:
    file = folder / "progress.jsonl"
    return len(file.read_text().splitlines()) if file.exists() else 0


@pytest.mark.slow
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
            Silent(),
        )
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    assert {task: result["finished"] for task, result in results.items()} == dict.fromkeys(TASKS, True)
    tried = run_jobs(
        {task: EvaluateJob(str(tmp_path / task), task, episodes=2) for task in TASKS}, Silent(), parallel=2
    )
    assert all(result["episodes"] == 2 and 0 <= result["success"] <= 1 for result in tried.values())
    with pytest.raises(JobEnded, match="an expert of 'drawer-open'"):
        run_jobs({"x": EvaluateJob(str(tmp_path / "drawer-open"), "reach")}, Silent())
