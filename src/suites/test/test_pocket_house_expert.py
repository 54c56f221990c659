"""The house's script: it shows that every task can be done, stage after stage."""

import numpy as np
import pytest

from polytask_suites import load_suite, make_env, scripted_expert
from polytask_suites.pocket_house.plan import STAGES
from polytask_suites.registry import make_batch


def stages(env, expert, seed):
    """The plan's stages of an episode, each once; the last is that in which it ended."""
    observation, info = env.reset(seed=seed)
    found = [info["stage"]]
    while not info["success"]:
        observation, _, _, truncated, info = env.step(expert(observation["state"]))
        assert not truncated, f"{env.task}, seed {seed}: nothing after {env.horizon} steps"
        if info["stage"] != found[-1]:
            found.append(info["stage"])
    return [STAGES[number] for number in found]


@pytest.mark.parametrize("task", load_suite("pocket_house").tasks)
def test_every_task_can_be_done_and_its_stages_come_in_order(task):
    env, expert = make_env("pocket_house", task), scripted_expert("pocket_house", task)
    ways = {tuple(stages(env, expert, seed)) for seed in range(500, 510)}
    if task == "rearrange-easy":
        assert ways == {("pick", "place", "done")}
    elif task == "rearrange-hard":
        assert ways == {
            ("open-fridge", "pick-from-fridge", "place", "done"),
            ("open-cabinet", "pick", "place", "done"),
        }
    elif task == "place":
        assert ways == {("place", "done")}
    else:
        assert ways == {(task,)}


def test_random_play_does_not_rearrange():
    batch = make_batch("pocket_house", ["rearrange-hard"] * 100)
    batch.reset(seed=0)
    rng, parts = np.random.default_rng(0), 0
    for _ in range(batch.config.tasks["rearrange-hard"].horizon):
        reward, success, _ = batch._play(rng.uniform(-1, 1, (100, 4)))
        assert not success.any()
        parts += (reward > 0).sum()
    assert parts <= 3, "hardly a door is opened"
