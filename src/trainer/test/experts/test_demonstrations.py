"""Demonstrations from a file of others, or from nowhere, for the learner."""

import dataclasses
import struct

import h5py
import numpy as np
import pytest

from polytask_demo_recorder.dataset.foreign import write_hdf5
from polytask_demo_recorder.errors import DatasetError
from polytask_suites import make_env, scripted_expert
from polytask_suites.kitchen.play import from_log
from polytask_trainer.experts.demonstrations import read_demonstrations
from polytask_trainer.jobs.execute import run
from polytask_trainer.jobs.spec import JobRefused, LearnJob
from polytask_trainer.rollouts.episode import rollout
from polytask_trainer.rollouts.export import demonstrate


def test_a_played_kitchen_gives_the_tasks_snippet(tmp_path):
    """Made by the script, written in Minari's form, read for the task: what the environment gave, up to success."""
    env = make_env("kitchen", "kettle")
    played = rollout(env, scripted_expert("kitchen", "kettle"), 0, 40)
    write_hdf5(tmp_path / "play.hdf5", [(played.states, played.actions, played.rewards)])
    [shown] = read_demonstrations(str(tmp_path / "play.hdf5"), "kitchen", "kettle")
    steps = len(shown.action)
    assert 10 < steps < 40
    assert np.array_equal(shown.state, played.states[: steps + 1])
    assert np.array_equal(shown.action, played.actions[:steps])
    assert list(played.rewards[:steps]) == [0.0] * (steps - 1) + [1.0], "it ends when the kettle is there"
    assert shown.embodiment.name == "franka_kitchen"
    with pytest.raises(DatasetError, match=r"play\.hdf5: shows nothing of the task 'microwave'"):
        read_demonstrations(str(tmp_path / "play.hdf5"), "kitchen", "microwave")


def write_log(path, played, between=3):
    """Write the episode as a MuJoCo log, with ``between`` records of something else between two that count."""
    robot, fixtures = 9, 21
    qpos = np.concatenate([played.states[:, :robot], played.states[:, 2 * robot : 2 * robot + fixtures]], axis=1)
    qvel = np.concatenate([played.states[:, robot : 2 * robot], played.states[:, 2 * robot + fixtures :]], axis=1)
    ctrl = np.zeros((len(qpos), robot))
    ctrl[:-1] = qpos[:-1, :robot] + played.actions * 2.0 * 0.08  # positions, as they are commanded there
    time = 3.0 + 0.08 * np.arange(len(qpos))[:, None]
    records = np.concatenate([time, qpos, qvel, ctrl, np.ones((len(qpos), 7 + 2))], axis=1)
    records = np.repeat(records, 1 + between, axis=0)
    for number in range(1, 1 + between):
        records[number :: 1 + between, 0] += 0.02 * number
        records[number :: 1 + between, 1:] = 0.5
    head = struct.pack("<7i", qpos.shape[1], qvel.shape[1], robot, 1, 0, 2, 3) + b"abc"
    path.write_bytes(head + records[: len(records) - between].astype("<f4").tobytes())


def test_a_log_of_the_relay_data_set_gives_the_same_snippet_as_hdf5(tmp_path):
    env = make_env("kitchen", "kettle")
    played = rollout(env, scripted_expert("kitchen", "kettle"), 0, 40)
    write_hdf5(tmp_path / "play.hdf5", [(played.states, played.actions, played.rewards)])
    (tmp_path / "logs" / "kettle_first").mkdir(parents=True)
    write_log(tmp_path / "logs" / "kettle_first" / "play.mjl", played)
    [expected] = read_demonstrations(str(tmp_path / "play.hdf5"), "kitchen", "kettle")
    for source in ("logs", "logs/kettle_first/play.mjl"):
        [shown] = read_demonstrations(str(tmp_path / source), "kitchen", "kettle")
        assert np.array_equal(shown.state, expected.state)
        assert np.allclose(shown.action, expected.action, atol=1e-4)
    with pytest.raises(DatasetError, match="'kitchen' alone"):
        read_demonstrations(str(tmp_path / "logs"), "dmc", "cheetah-run-80")


def test_a_log_of_another_robot_or_with_a_gap_is_refused(tmp_path):
    time = np.arange(5, dtype=np.float32) * 0.08
    positions, speeds, commands = np.zeros((5, 30)), np.zeros((5, 29)), np.zeros((5, 9))
    with pytest.raises(ValueError, match=r"has \(30, 29, 7\)"):
        from_log(time, positions, speeds, commands[:, :7])
    time[3:] += 0.07
    with pytest.raises(ValueError, match=r"no record for 0.07 s after 0.24 s"):
        from_log(time, positions, speeds, commands)


def test_a_file_of_another_robot_is_refused(tmp_path):
    with h5py.File(tmp_path / "other.hdf5", "w") as file:
        file["observations"], file["actions"] = np.zeros((5, 11)), np.zeros((5, 3))
        file["terminals"] = np.zeros(5)
    for suite, task, reason in (("dmc", "cheetah-run-80", "11 state and 3"), ("kitchen", "kettle", "these have 11")):
        with pytest.raises(DatasetError, match=rf"other\.hdf5.*{reason}"):
            read_demonstrations(str(tmp_path / "other.hdf5"), suite, task)


def test_without_demonstrations_random_play_stands_in():
    [shown] = read_demonstrations("none", "dmc", "cheetah-run-80")
    assert shown.state.shape == (501, 17)
    assert shown.action.shape == (500, 6)
    [again] = read_demonstrations("none", "dmc", "cheetah-run-80")
    assert np.array_equal(shown.state, again.state), "so that a training can be resumed"
    with pytest.raises(ValueError, match="pictures"):
        read_demonstrations("none", "dmc", "cheetah-run-80", cameras=True)


@pytest.mark.slow
def test_an_expert_learned_without_demonstrations_makes_some(tmp_path):
    """Two episodes of learning by reward, one shown in a file, which is learned from again."""
    settings = tmp_path / "short.yaml"
    short = "{steps: 1000, reward: %s, seed_episodes: 1, critic_updates: 0, updates_per_step: 0.02, goal_rollouts: 1, "
    short += "goal_pictures: 1, cloning: {steps: 1}, agent: {bc_lambda: %s}}"
    job = LearnJob("cheetah-run-80", "none", str(tmp_path / "expert"), suite="dmc", settings=str(settings))

    settings.write_text(short % ("ot", 0.25))
    with pytest.raises(JobRefused, match="without demonstrations"):
        run(job, lambda report: None, lambda: False)

    settings.write_text(short % ("environment", 0.0))
    assert run(job, lambda report: None, lambda: False)["finished"]
    file = tmp_path / "shown.hdf5"
    [earned] = demonstrate(tmp_path / "expert", file, episodes=1, first_seed=7)
    [shown] = read_demonstrations(str(file), "dmc", "cheetah-run-80")
    env = make_env("dmc", "cheetah-run-80")
    assert np.array_equal(shown.state[0], env.reset(seed=7)[0]["state"])
    assert earned == pytest.approx(sum(env.step(action)[1] for action in shown.action), abs=1e-3)

    settings.write_text(short % ("ot", 0.25))
    again = dataclasses.replace(job, demonstrations=str(file), output=str(tmp_path / "again"))
    assert run(again, lambda report: None, lambda: False)["steps"] == 1000
