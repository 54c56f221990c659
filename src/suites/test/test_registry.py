"""Suites by name, their files, and what a bad file or name says."""

from pathlib import Path

import gymnasium
import numpy as np
import pytest
import yaml
from gymnasium.utils.env_checker import check_env

from polytask_robot_io.embodiment import Embodiment
from polytask_suites import EMBODIMENTS, SUITES, SuiteError, load_suite, make_env, scripted_expert

SENTENCES = Path(__file__).parents[3] / "config" / "sentences"


def test_every_task_is_registered_with_gymnasium() -> None:
    counts = {"tabletop": 7, "tabletop_ten": 10, "metaworld": 50, "kitchen": 8, "dmc": 10, "maze": 14}
    for suite, count in counts.items():
        names = {f"{suite}/{task}" for task in load_suite(suite).tasks}
        assert len(names) == count
        assert names <= set(gymnasium.registry)


@pytest.mark.filterwarnings("ignore:.*Box observation space.*infinity.*")
@pytest.mark.parametrize(
    ("task", "cameras"),
    [
        ("tabletop/peg-blue", True),
        ("metaworld/drawer-open", False),
        ("kitchen/kettle", True),
        ("dmc/cheetah-run-80", True),
        ("maze/zigzag-a", True),
    ],
)
def test_gymnasiums_checker_is_content(task: str, cameras: bool) -> None:
    env = gymnasium.make(task, cameras=cameras, render_mode="rgb_array")
    assert env.unwrapped is env
    check_env(env)
    env.close()


@pytest.mark.parametrize("suite", SUITES)
def test_tasks_are_described(suite: str) -> None:
    config = load_suite(suite)
    taught = [sentence for task in config.tasks.values() for sentence in task.instructions]
    assert len(taught) == len(set(taught)), "a sentence belongs to one task"
    for task in config.tasks.values():
        assert task.description
        assert len(task.instructions) >= 8
        assert len(task.features) >= 1


@pytest.mark.parametrize("suite", SUITES)
def test_features_name_entries_of_the_state(suite: str) -> None:
    names = set(make_env(suite, next(iter(load_suite(suite).tasks))).state_names)
    for entry in load_suite(suite).tasks.values():
        for feature in entry.features:
            assert set(feature) - {"minus"} == {"name", "kind", "entries", "scale"}
            assert feature["kind"] in {"value", "displacement", "difference"}
            assert ("minus" in feature) == (feature["kind"] == "difference")
            assert set(feature["entries"]) | set(feature.get("minus", ())) <= names
            assert feature["scale"] > 0


@pytest.mark.parametrize("suite", ["tabletop", "tabletop_ten", "kitchen"])
def test_held_out_sentences_are_not_taught(suite: str) -> None:
    held_out = yaml.safe_load((SENTENCES / f"{suite}_heldout.yaml").read_text("utf-8"))
    tasks = load_suite(suite).tasks
    assert set(held_out) == set(tasks)
    taught = {sentence.lower().rstrip(".?") for task in tasks.values() for sentence in task.instructions}
    every = [sentence.lower().rstrip(".?") for sentences in held_out.values() for sentence in sentences]
    assert len(every) == len(set(every))
    assert not taught & set(every)
    assert all(len(sentences) >= 8 for sentences in held_out.values())


def test_cup_sentences_name_their_colour_and_no_other() -> None:
    held_out = yaml.safe_load((SENTENCES / "tabletop_heldout.yaml").read_text("utf-8"))
    for colour in ("green", "yellow", "blue"):
        task = f"peg-{colour}"
        for sentence in (*load_suite("tabletop").tasks[task].instructions, *held_out[task]):
            assert {c for c in ("green", "yellow", "blue") if c in sentence.lower()} == {colour}, sentence


def test_lists_of_tasks() -> None:
    assert len(load_suite("metaworld").lists["paper16"]) == 16
    assert load_suite("tabletop").lists["demo"] == (
        "drawer-open", "drawer-close", "box-open", "peg-green", "peg-yellow",
    )  # fmt: skip


def test_unknown_names_are_refused_with_those_there_are() -> None:
    with pytest.raises(SuiteError, match="tabletop, tabletop_ten, metaworld"):
        make_env("garden", "kettle")
    with pytest.raises(SuiteError, match=r"drawer-open.*peg-blue"):
        make_env("tabletop", "pour")
    with pytest.raises(SuiteError, match="reach"):
        scripted_expert("tabletop", "pour")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"horizon": 0}, "above zero"),
        ({"tasks": {"reach": {"description": "d"}}}, "phrases"),
        ({"lists": {"few": ["pour"]}}, "pour"),
        ({"camera": None}, "camera|NoneType"),
        ({"camera": {"name": "front", "width": -1, "height": 84}}, "above zero"),
    ],
)
def test_a_bad_file_is_refused_with_its_name(tmp_path: Path, change: dict[str, object], complaint: str) -> None:
    data = {
        "control_rate": 20,
        "horizon": 100,
        "camera": {"name": "front", "width": 84, "height": 84},
        "tasks": {"reach": {"description": "d", "instructions": ["Reach."]}},
    }
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump(data))
    assert make_env("tabletop", "reach", config=file).horizon == 100
    file.write_text(yaml.safe_dump(data | change))
    with pytest.raises(SuiteError, match=complaint) as error:
        load_suite("tabletop", file)
    assert "mine.yaml" in str(error.value)


def test_a_file_that_is_no_yaml_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("a: [")
    with pytest.raises(SuiteError, match=r"mine\.yaml.*YAML"):
        load_suite("tabletop", file)
    with pytest.raises(SuiteError, match=r"missing\.yaml"):
        load_suite("tabletop", tmp_path / "missing.yaml")


@pytest.mark.parametrize(
    "name", ["tabletop/reach", "tabletop_ten/reach", "kitchen/kettle", "dmc/cheetah-run-80", "metaworld/drawer-open"]
)
def test_an_unstable_simulation_ends_the_episode_as_a_fault(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # MuJoCo writes a log where it runs
    env = make_env(*name.split("/"))
    still = np.zeros(env.action_space.shape, np.float32)
    for _ in range(2):
        env.reset(seed=0)
        _, _, _, truncated, info = env.step(still)
        assert not truncated
        assert "fault" not in info
        env._simulation()[1].qvel[3] = 1e12
        _, _, _, truncated, info = env.step(still)
        assert truncated
        assert info == {"success": False, "message": "the simulation became unstable", "fault": True}
    env.close()


@pytest.mark.parametrize("suite", sorted(EMBODIMENTS))
def test_declared_ranges_hold_what_the_simulation_gives(suite):
    embodiment = Embodiment.load(EMBODIMENTS[suite])
    low, high = np.array([field.range for field in embodiment.state]).T
    env = make_env(suite, next(iter(load_suite(suite).tasks)))
    random = np.random.default_rng(0)
    states = [env.reset(seed=0)[0]["state"]]
    for _ in range(6):  # from one stop to another
        action = random.choice([-1.0, 1.0], env.action_space.shape).astype(np.float32)
        states += [env.step(action)[0]["state"] for _ in range(10)]
    assert (low <= np.min(states, axis=0)).all()
    assert (np.max(states, axis=0) <= high).all()
    assert (high - low <= 20000).all()
    env.close()
