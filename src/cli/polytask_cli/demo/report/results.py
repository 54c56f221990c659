"""results.json: everything that was measured, with what is needed to measure it again."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from polytask_cli.demo.options import Demo
from polytask_cli.demo.plan import PHASES, REWARD
from polytask_cli.demo.scheduler import Finished, Stage
from polytask_cli.files import read_lines
from polytask_demo_recorder.dataset.folder import episode_files
from polytask_trainer.common.progress import LOG

FORMAT = 1
PACKAGES = ("torch", "numpy", "mujoco", "gymnasium", "metaworld", "rosbags", "mcap", "safetensors", "ros-rclpy")
BULKY = ("actions", "end_state")


def assemble(demo: Demo, stages: Sequence[Stage], finished: Mapping[str, Finished], total: float) -> dict[str, Any]:
    """Put the stages' results together; ``total`` is the wall time so far in s, over all sittings."""
    result = {name: done.result for name, done in finished.items()}
    recorded = {task: entries for name in result if name.startswith("record-") for task, entries in
                result[name]["episodes"].items()}  # fmt: skip
    questions = [line for path in (demo.output / "answers").glob("*.jsonl") for line in read_lines(path)]
    questions.sort(key=lambda line: str(line["id"]))
    controls = [episode for name in result if name.startswith("no-goal-") for episode in result[name]["episodes"]]
    return {
        "format": FORMAT,
        "settings": demo.settings(),
        "command": command(demo),
        "written": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "versions": versions(),
        "machine": {
            "cores": len(os.sched_getaffinity(0)),
            "processor": processor(),
            "system": platform.platform(),
            "load": round(os.getloadavg()[0], 2),
        },
        "seeds": seeds(demo),
        "wall": {"total": total},
        "phases": phases(stages, finished),
        "jobs": [
            {"name": stage.name, "phase": stage.phase, "start": done.start, "end": done.end, "earlier": done.earlier}
            for stage in stages
            if (done := finished.get(stage.name)) is not None
        ],
        "demonstrations": {task: recorded[task][:1] for task in demo.tasks if task in recorded},
        "control_demonstrations": {task: recorded[task][1:] for task in demo.tasks if task in recorded},
        "experts": {
            task: {**learned, **result[f"clone-{task}"], **result[f"evaluate-{task}"]}
            for task in demo.tasks
            if (learned := _learned(demo, task, result)) is not None
        },
        "distill": result.get("distill", {}),
        "asked": [{key: value for key, value in line.items() if key not in BULKY} for line in questions],
        "nogoal": [episode for episode in controls if episode["group"] == "nogoal"],
        "random": [episode for episode in controls if episode["group"] == "random"],
        "timing": {name: result[name] for name in ("realtime", "lockstep") if name in result},
        "film": result.get("film", {"films": [], "failures": [], "same_start": False, "replayed": 0, "identical": 0}),
    }


def _learned(demo: Demo, task: str, result: Mapping[str, Any]) -> dict[str, Any] | None:
    """What came of learning the task, and from which recordings."""
    if f"learn-{task}" not in result:
        return None
    return {
        **result[f"learn-{task}"],
        "reward": REWARD,
        "demonstrations": [str(path) for path in episode_files(demo.demonstrations / task)],
        "progress": str(demo.expert(task) / LOG),
    }


def phases(stages: Sequence[Stage], finished: Mapping[str, Finished]) -> list[dict[str, Any]]:
    """Wall time of each phase: the time in which at least one of its stages ran."""
    found = []
    for key, title in PHASES:
        spans = [finished[stage.name] for stage in stages if stage.phase == key and stage.name in finished]
        if spans:
            seconds = union([(span.start, span.end) for span in spans])
            earlier = all(span.earlier for span in spans)
            found.append({"key": key, "title": title, "seconds": seconds, "earlier": earlier})
    return found


def union(spans: Sequence[tuple[float, float]]) -> float:
    """Length of the union of intervals."""
    total, until = 0.0, float("-inf")
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, until))
        until = max(until, end)
    return total


def command(demo: Demo) -> str:
    """The command that does the same again."""
    parts = ["./polytask demo", f"--suite {demo.suite}", f"--tasks {','.join(demo.tasks)}", f"--seed {demo.seed}"]
    return " ".join([*parts, *(["--quick"] if demo.quick else [])])


def seeds(demo: Demo) -> dict[str, Any]:
    """Which start seeds were used for what."""
    count = demo.scale.ask_starts
    starts = demo.seeds.evaluation(demo.scale.expert_starts)
    per_task = {}
    for number, task in enumerate(demo.tasks):
        asked = demo.seeds.ask(number, count)
        per_task[task] = {
            "asked": f"{asked[0]} to {asked[-1]}",
            "goal pictures": f"from {demo.seeds.picture(number)}",
        }
    first = demo.seeds.demonstrations
    return {
        "demonstrations": f"from {first}",
        "evaluation": f"{starts[0]} to {starts[-1]}",
        "tasks": per_task,
        "training": "from 1000000",
    }


def versions() -> dict[str, str]:
    """Of Python, this project and what its results depend on."""
    found = {"python": sys.version.split()[0], "ROS_DISTRO": os.environ.get("ROS_DISTRO", "wheels")}
    for name in ("polytask_cli", *PACKAGES):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def processor() -> str:
    """The processor's name, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
