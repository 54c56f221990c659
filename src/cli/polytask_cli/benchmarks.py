"""Benchmarks of `bench`: each part gives ratios of two speeds (or amounts), measured in turns in one run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FRAMES_DISK = 3.2e9
"""Bytes that ``frames`` writes."""


@dataclass(frozen=True)
class Ratio:
    """One line: how many times quicker (or what share of the speed) ``what`` is."""

    what: str
    against: str
    value: float
    detail: str


QUIET = 0.85
"""Share of the cores' time from which on processes side by side can be measured."""
SPIN = """
import time
began = time.perf_counter()
while time.perf_counter() - began < 0.5:
    pass
print(time.process_time() / (time.perf_counter() - began))
"""


class NotMeasured(Exception):
    """The machine lacks what a part needs; says what."""


def share() -> float:
    """Share of their time that the cores give to us, tried for half a second on all of them."""
    command = [sys.executable, "-S", "-c", SPIN]
    spinning = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(cores())]
    return sum(min(1.0, float(one.communicate(timeout=60.0)[0])) for one in spinning) / len(spinning)


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def require_quiet() -> None:
    """Raise NotMeasured where other programs use the cores: the scheduler would be what is measured."""
    if (given := share()) < QUIET:
        raise NotMeasured(
            f"other programs use the machine: its cores give {given:.0%} of their time, {QUIET:.0%} are needed where "
            "processes run side by side; end those, or try again later"
        )


def control() -> tuple[list[Ratio], Any]:
    """Control steps through ROS, over topics in lock-step and by service, against stepping in process."""
    import rclpy
    from rclpy.signals import SignalHandlerOptions

    from polytask_cli.nodes.processes import DOMAINS, FIRST_DOMAIN
    from polytask_sim_bridge.benchmark import measure

    require_quiet()
    # Nodes that run already are not to be mistaken for those that are measured.
    os.environ["ROS_DOMAIN_ID"] = str(FIRST_DOMAIN + os.getpid() % DOMAINS)
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    try:
        rows = measure(episodes=6, steps=90)
    finally:
        rclpy.try_shutdown()
    names = {"lock_step": "control steps over topics, in lock-step", "service": "control steps by step_episode"}
    return [
        Ratio(
            name,
            "the same steps in process",
            rows[way]["ratio"],
            f"{rows[way]['steps_per_second']:.0f}/s through ROS; states {'equal' if rows[way]['same'] else 'DIFFER'}",
        )
        for way, name in names.items()
    ], rows


def pictures() -> tuple[list[Ratio], Any]:
    """Pictures in software, with our settings and with MuJoCo's."""
    from polytask_suites.benchmarks.rendering import measure

    rates = measure()
    detail = f"{rates['ours']:.0f}/s and {rates['default']:.0f}/s"
    return [Ratio("pictures of 84x84", "MuJoCo's default settings", rates["ratio"], detail)], rates


def batches() -> tuple[list[Ratio], Any]:
    """Suites that step in batches: many environments together, and as many one after another."""
    from polytask_suites.benchmarks.batch import SIZE, measure

    found = {suite: measure(suite) for suite in ("maze", "pocket_house")}
    return [
        Ratio(
            f"steps of {SIZE} {suite} environments together",
            "one after another",
            rates["ratio"],
            f"{rates['together']:,.0f}/s and {rates['alone']:,.0f}/s of one core",
        )
        for suite, rates in found.items()
    ], found


def transport() -> tuple[list[Ratio], Any]:
    """Optimal transport of matching rewards by our solver and by POT's: exact, in batches, and as it is used."""
    import torch

    from polytask_trainer.benchmarks.sinkhorn import PLAIN, TOLERANCE, measure, measure_episode

    torch.set_num_threads(1)
    result = measure()
    detail = f"{1e3 * result['sinkhorn']:.0f} ms and {1e3 * result['pot']:.0f} ms; rewards within "
    detail += f"{result['difference']:.0e}, marginals within {TOLERANCE:.0e} (POT's {result['pot_error']:.0e})"
    ratios = [Ratio("plans of matching rewards", "POT at that accuracy", result["ratio"], detail)]
    episodes = {steps: measure_episode(steps) for steps in (125, 250)}
    for steps, one in episodes.items():
        detail = f"{1e3 * one['ours']:.1f} ms and {1e3 * one['pot']:.1f} ms; "
        detail += f"within {one['difference']:.1%} of an exact plan's"
        what = f"the reward of one episode of {steps} steps"
        ratios.append(Ratio(what, f"{PLAIN} iterations of POT", one["ratio"], detail))
    return ratios, {**result, "episodes": episodes}


def policy(rounds: int = 7, calls: int = 300) -> tuple[list[Ratio], Any]:
    """One action of a unified policy, as the server computes it, and by torch."""
    import numpy as np
    import torch

    from polytask_policy.goal_networks import GoalConditionedActor, GoalEncoder
    from polytask_policy.policy_spec import PolicySpec
    from polytask_policy.text import EMBEDDING_SIZE
    from polytask_policy.unified import UnifiedPolicy
    from polytask_robot_io.embodiment import Embodiment
    from polytask_trainer.distillation.config import DistillConfig

    torch.set_num_threads(1)
    robot = Embodiment.load("xarm7_tabletop")
    description = PolicySpec("tabletop", ("one",), robot.state_names, robot.command_names)
    examples = {
        "sentences": torch.zeros(1, EMBEDDING_SIZE),
        "sentence_tasks": torch.zeros(1, dtype=torch.int64),
        "pictures": torch.zeros((1, 3, 42, 42), dtype=torch.uint8),
        "picture_tasks": torch.zeros(1, dtype=torch.int64),
    }
    actor = GoalConditionedActor(len(robot.state_names), len(robot.command_names), DistillConfig().hidden)
    served = UnifiedPolicy(actor, GoalEncoder(EMBEDDING_SIZE, 1), description, examples)
    goal = served.goal_from_task("one")
    state = np.zeros(len(robot.state_names), dtype=np.float32)
    embedding = torch.from_numpy(goal.embedding)[None]

    def by_torch() -> None:
        with torch.inference_mode():
            actor(torch.from_numpy(state)[None], embedding)

    ways: dict[str, Callable[[], object]] = {"served": lambda: served.act(state, goal), "torch": by_torch}
    seconds = dict.fromkeys(ways, float("inf"))
    for _ in range(rounds):
        for name, way in ways.items():
            began = time.perf_counter()
            for _ in range(calls):
                way()
            seconds[name] = min(seconds[name], (time.perf_counter() - began) / calls)
    detail = f"{1e6 * seconds['served']:.0f} µs and {1e6 * seconds['torch']:.0f} µs"
    return [
        Ratio(
            "an action of the served policy", "the same network in torch", seconds["torch"] / seconds["served"], detail
        )
    ], seconds


def pixels() -> tuple[list[Ratio], Any]:
    """An update of the pixel agent, of the settings made for this machine, and a batch of its replay; and plainly."""
    import torch

    from polytask_trainer.benchmarks.pixels import measure_sampling, measure_update
    from polytask_trainer.common.device import device_name, torch_device
    from polytask_trainer.jobs.resolve import learn_settings
    from polytask_trainer.jobs.spec import LearnJob

    torch.set_num_threads(1)
    device = torch_device("auto")
    settings = "pixels-84" if device.type == "cuda" else "pixels-48"
    update = measure_update(learn_settings(LearnJob("", "", "", settings=settings)))
    sampling = measure_sampling(device=device)
    ours, plain, full = (f"{1e3 * update[way]:.0f} ms" for way in ("ours", "textbook", "float32"))
    detail = f"{full} and {plain}, float32; as configured {ours}"
    if device.type == "cuda":
        detail = f"{ours} as configured and {plain}, {device_name(device)}; without bfloat16 {full}"
    memory = sampling["textbook_bytes"] / sampling["ours_bytes"]
    kept = f"{1e3 * sampling['ours']:.1f} ms and {1e3 * sampling['textbook']:.1f} ms; memory 1 : {memory:.0f}"
    return [
        Ratio(f"an update of {settings}", "a textbook loop of these sizes", update["ratio"], detail),
        Ratio("a batch of 84x84 frames from replay", "a list of NumPy arrays", sampling["ratio"], kept),
    ], {"settings": settings, "device": device_name(device), "update": update, "sampling": sampling}


def frames() -> tuple[list[Ratio], Any]:
    """The frames of a whole training at the papers' size: what they take in memory, and what stacked arrays take."""
    import tempfile

    from polytask_trainer.benchmarks.pixels import measure_frames

    with tempfile.TemporaryDirectory() as folder:
        if shutil.disk_usage(folder).free < 2 * FRAMES_DISK:
            raise NotMeasured(f"{folder} has less than {2 * FRAMES_DISK / 1e9:.0f} GB left")
        kept = measure_frames(Path(folder))
    detail = f"{kept['resident'] / 2**20:.0f} MiB resident, {kept['disk'] / 1e9:.2f} GB on disk; stacked transitions "
    detail += f"would take {kept['textbook'] / 1e9:.0f} GB; a batch takes {1e3 * kept['seconds']:.0f} ms"
    return [Ratio(f"memory for {kept['count']:,.0f} frames of 84x84", "stacked arrays", kept["ratio"], detail)], kept


def parallel(steps: int = 900) -> tuple[list[Ratio], Any]:
    """Two experts learned side by side, each in a process of its own, and one alone."""
    import tempfile

    from polytask_trainer.benchmarks.parallel import measure

    require_quiet()
    with tempfile.TemporaryDirectory() as folder:
        seconds = measure(Path(folder), steps)
    detail = f"{seconds['two']:.1f} s and {seconds['one']:.1f} s for {steps} steps"
    return [Ratio("time of two experts at once", "one alone", seconds["ratio"], detail)], seconds
