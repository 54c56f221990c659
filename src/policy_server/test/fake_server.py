"""The policy server with a policy that needs no training: goes to +0.5, or misbehaves when its goal says so.

Called with ``sees`` it takes two frames, and goes where their brightness (a share of white) says: (oldest, newest).
"""

import sys
import time
from pathlib import Path

import numpy as np
import yaml

from polytask_policy import text_process
from polytask_policy.goals import Goal, UnknownGoal
from polytask_policy.policy_spec import Pictures, PolicySpec
from polytask_policy_server.policy_server_node import PolicyServer
from polytask_robot_io.executors import run_node

NAMES = ("x", "y")
CAMERA = {"name": "eye", "topic": "eye/image_raw", "info_topic": "eye/camera_info", "frame": "optical"}
CAMERA |= {"encoding": "rgb8", "width": 16, "height": 16}
EMBODIMENT = yaml.safe_load((Path(__file__).parent / "toy.yaml").read_text())


class SlowText:
    """A language model that takes a while to load, and for ever for some sentences."""

    alive = True

    def encode(self, sentences):
        time.sleep(3600.0 if "think" in sentences else float(sys.argv[1]) if "warm up" in sentences else 0.0)


CHILD = """
import json, os, signal, sys
print("{}", flush=True)
for line in sys.stdin:
    if "stop" in line: os.kill(os.getpid(), signal.SIGSTOP)
    if "die" in line: os.kill(os.getpid(), signal.SIGKILL)
    print(json.dumps({"vectors": [[0.0] * 384]}), flush=True)
"""
"""A language model that needs none; it stops, or dies, when it is told so."""


def child_text():
    """The encoder whose child that is."""
    text_process.model_folder = Path
    text_process.CHILD = [sys.executable, "-S", "-c", CHILD]
    return text_process.TextProcess(loading=20.0, answering=0.5)


class FakePolicy:
    """Same interface as UnifiedPolicy."""

    def __init__(self):
        self.description = PolicySpec("toy", ("go", "crash", "nan"), NAMES, ("dx", "dy"), embodiment=EMBODIMENT)
        self.text = child_text() if "child" in sys.argv[1:2] else SlowText()

    def goal_from_words(self, words):
        if not words.strip():
            raise UnknownGoal("the goal is empty")
        self.text.encode([words])
        if words != "please go":
            raise UnknownGoal(f"'{words}' is like nothing taught", "go", 0.1)
        return Goal("words", np.zeros(64, np.float32), "go", 0.9)

    def goal_from_task(self, name):
        if name not in self.description.tasks:
            raise UnknownGoal(f"no task '{name}' was taught")
        return Goal("task", np.zeros(64, np.float32), name, 1.0)

    def goal_from_image(self, picture):
        assert picture.dtype == np.uint8
        assert picture.shape[2] == 3
        return Goal("image", np.zeros(64, np.float32), "go", 0.8)

    def act(self, state, goal, pictures):
        assert pictures is None
        if goal.task == "crash":
            raise RuntimeError("no such joint")
        value = np.nan if goal.task == "nan" else 0.5
        return np.full(2, value, np.float32)


class SeeingPolicy(FakePolicy):
    """One that sees."""

    def __init__(self):
        super().__init__()
        self.description = PolicySpec(
            "toy",
            ("go",),
            ("y",),
            ("dx", "dy"),
            embodiment={**EMBODIMENT, "cameras": [CAMERA]},
            pictures=Pictures("eye", 16, 2),
        )

    def act(self, state, goal, pictures):
        assert state.shape == (1,)
        return (pictures.reshape(2, -1).mean(1) / 255).astype(np.float32)


if __name__ == "__main__":
    sys.setswitchinterval(0.0005)
    policy = SeeingPolicy if "sees" in sys.argv else FakePolicy
    sys.exit(run_node(lambda: PolicyServer(policy=policy()), args=sys.argv))
