"""The experiment ``ol_aux``: the paper's toy problem, the arm, goals relabelled in hindsight, and runs that resume."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from polytask_policy.policy_spec import Pictures
from polytask_trainer.auxiliary import arm, toy
from polytask_trainer.auxiliary.hindsight import GoalActor, HindsightReplay
from polytask_trainer.experiments.framework.run import Context, Stopped
from polytask_trainer.experiments.others import ol_aux, ol_aux_stages
from polytask_trainer.replay.frame_store import FrameStore


@pytest.mark.parametrize("start", toy.STARTS)
def test_toy_problem(start: tuple[float, float]) -> None:
    """Section 5.1 and Figure 2."""
    fixed, online = toy.descend(start, "fixed", 800), toy.descend(start, "ol_aux", 800)
    assert np.allclose(fixed.places[-1], 0.5, atol=1e-2)  # the main loss and the harmful one cancel out
    assert np.allclose(online.places[-1], 0.0, atol=1e-2)
    helpful, harmful = np.array(online.weights).T
    assert (np.diff(harmful[:20]) < 0.0).all()
    assert harmful[20] < 0.0
    assert helpful.argmax() > 0
    assert helpful.max() > 1.5
    assert abs(helpful[-1]) < 0.05


def test_the_arm_draws_where_it_is() -> None:
    arms = arm.Arms([3, 4])
    assert arms.goal_pictures.shape == (2, 3, arm.SIZE, arm.SIZE)
    again = arm.Arms([4])
    assert np.array_equal(arms.places()[1:], again.places())
    assert np.array_equal(arms.goals[1:], again.goals)
    assert not np.array_equal(arms.goals[0], arms.goals[1])
    straight = arm.places(np.zeros((1, 2)))
    assert np.allclose(straight, [[arm.LINKS[0], 0.0, sum(arm.LINKS), 0.0]])
    lit = arm.pictures(straight)[0].max(axis=0) > 60
    rows, columns = np.nonzero(lit)
    assert set(rows) <= {arm.SIZE // 2 - 1, arm.SIZE // 2}
    tip = (1.0 + sum(arm.LINKS)) * arm.SIZE / 2
    assert columns.min() >= arm.SIZE // 2 - 2
    assert abs(columns.max() - tip) < 1.5


def test_a_goal_is_reached_with_elbow_and_tip() -> None:
    goal = arm.places(np.array([[0.3, 1.0]]))
    assert arm.reached(goal, goal).all()
    other_side = arm.places(np.array([[0.3 + 1.0 * 0.94, -1.0]]))  # the tip nearly there, the elbow not
    assert np.linalg.norm(other_side[0, 2:] - goal[0, 2:]) < arm.NEAR
    assert not arm.reached(other_side, goal).any()


def test_actions_turn_the_joints_up_to_their_stops() -> None:
    arms = arm.Arms([0])
    before = arms.places()
    arms.step(np.zeros((1, 2), np.float32))
    assert np.array_equal(arms.places(), before)
    for _ in range(30):
        arms.step(np.array([[0.0, 5.0]], np.float32))
    elbow, tip = arms.places()[0, :2], arms.places()[0, 2:]
    bent = np.arccos((elbow @ (tip - elbow)) / (arm.LINKS[0] * arm.LINKS[1]))
    assert bent == pytest.approx(2.5, abs=1e-3)


def test_goals_are_relabelled_with_what_the_episode_reached_later(tmp_path: Path) -> None:
    """States and grey values tell an episode by its hundreds and a step by its units; the goal wanted is 99."""
    store = FrameStore(tmp_path / "frames.u8", 4, 8, 2)
    replay = HindsightReplay(store, (1, 1), 0.9, lambda where, goal: (where == goal)[:, 0])
    for episode in range(2):
        states = 100.0 * episode + np.arange(6, dtype=np.float32)[:, None]
        grey = np.array([*states[:, 0], 100 * episode + 99]).astype(np.uint8)
        frames = grey[:, None, None, None] * np.ones((1, 3, 2, 2), np.uint8)
        replay.add_episode(states, states[:-1] / 1000.0, np.array([100.0 * episode + 99], np.float32), frames)
    batch = replay.sample(4000, torch.Generator().manual_seed(0))
    now, goal = batch.pictures[:, 0, 0, 0].int(), batch.pictures[:, 3, 0, 0].int()
    after, same = batch.next_pictures[:, 0, 0, 0].int(), batch.next_pictures[:, 3, 0, 0].int()
    assert torch.equal(goal, same)
    assert torch.equal(after, now + 1)
    assert torch.equal(batch.after, batch.next_pictures[:, :3])
    assert torch.allclose(batch.action[:, 0], now / 1000.0)
    assert torch.equal(goal // 100, now // 100)
    wanted = goal % 100 == 99
    assert float(wanted.float().mean()) == pytest.approx(0.1, abs=0.02)
    assert (goal >= after).all()
    assert (goal[~wanted] % 100 <= 5).all()
    assert torch.equal(batch.reward, torch.where(goal == after, 0.0, -1.0))
    assert torch.allclose(batch.discount, torch.where(goal == after, 0.0, 0.9))
    first = (now % 100 == 0) & ~wanted
    assert {int(one) % 100 for one in goal[first]} == {1, 2, 3, 4, 5}


def test_frame_and_goal_go_through_one_encoder() -> None:
    actor = GoalActor(Pictures("above", 16, 1), 2, (8,), 4, (2, 2))
    both = torch.randint(0, 256, (5, 6, 16, 16), dtype=torch.uint8)
    seen = actor.see(torch.zeros(5, 0), both)
    assert torch.allclose(seen, torch.cat([actor.encoder(both[:, :3]), actor.encoder(both[:, 3:])], dim=1), atol=1e-6)
    assert actor(torch.zeros(5, 0), both).shape == (5, 2)


CONFIG: Mapping[str, Any] = {
    "steps": 120,
    "every": 40,
    "episodes": 4,
    "seed_episodes": 2,
    "seed_noise": 1.0,
    "updates_per_step": 0.2,
    "agent": {"hidden": [16], "batch_size": 8, "gamma": 0.9, "n_step": 1, "bc_lambda": 0.0},
    "pictures": {"size": 16, "stack": 1, "feature": 8, "strides": [2, 2], "device": "cpu", "auxiliary": {"horizon": 3}},
}


def test_a_stopped_run_gives_the_same_result(tmp_path: Path) -> None:
    def context(name: str, stop_after: int | None = None) -> Context:
        folder, asked = tmp_path / name, []
        folder.mkdir(exist_ok=True)

        def stop() -> bool:
            asked.append(None)
            return stop_after is not None and len(asked) > stop_after

        return Context(CONFIG, 1, folder, (), lambda _: None, stop)

    whole = ol_aux_stages.reach(context("whole"))
    for episodes in (3, 2):
        with pytest.raises(Stopped):
            ol_aux_stages.reach(context("parts", episodes))
    assert ol_aux_stages.reach(context("parts")) == whole
    weights = [point["egomotion_weight"] for point in whole["curve"] if "egomotion_weight" in point]
    assert weights[-1] != 1.0


def test_steps_to_the_wanted_success() -> None:
    curve = [{"step": 500, "success": 0.5}, {"step": 1000, "success": 0.8}, {"step": 1500, "success": 0.7}]
    assert ol_aux.steps_to({"result": {"curve": curve}}) == 1000
    assert ol_aux.steps_to({"result": {"curve": curve[:1]}}) is None


def test_runs_differ_by_their_method() -> None:
    settings = ol_aux.Settings(steps=10, every=5, episodes=1, seeds=1)
    found = ol_aux.runs(settings, 0)
    assert [run.title for run in found] == ["toy", *(f"arm {method}" for method in ol_aux.METHODS)]
    assert len({run.digest for run in found}) == len(found)
    assert [run.title for run in ol_aux.runs(settings, 1)] == [run.title for run in found[1:]]
