import dataclasses
from pathlib import Path

import pytest

from polytask_trainer.auxdistill.config import load_auxdistill_config
from polytask_trainer.common.settings import ConfigError
from polytask_trainer.experts.config import LearnConfig, learn_config, load_learn_config
from polytask_trainer.ot_regularised.config import load_tasks_config

SHIPPED = Path(__file__).parents[4] / "config" / "trainer"


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_settings_are_read(path: Path) -> None:
    readers = {"auxdistill": load_auxdistill_config, "together": load_tasks_config}
    read = readers.get(path.stem.rsplit("_", 1)[-1], load_learn_config)
    assert read(path, seed=7).seed == 7


def test_there_are_shipped_settings() -> None:
    assert (SHIPPED / "tabletop.yaml").is_file()


def test_settings_survive_the_way_through_mappings() -> None:
    config = LearnConfig(steps=99)
    assert learn_config(dataclasses.asdict(config)) == config


def test_nothing_means_defaults(tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").write_text("# nothing\n")
    assert load_learn_config(tmp_path / "empty.yaml") == LearnConfig()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("stepps: 3", "unknown settings stepps; known: steps"),
        ("steps: many", "steps must be a whole number, not 'many'"),
        ("steps: -1", "steps must be positive"),
        ("seed_noise: true", "seed_noise must be a number"),
        ("agent: {gamma: 2}", "agent: agent.gamma must lie in"),
        ("agent: {hidden: 128}", "agent: hidden must be a list"),
        ("agent: 3", "agent: must be a mapping"),
        ("matching: {plan: greedy}", "matching: plan must be one of transport, nearest, not 'greedy'"),
        ("reward: sparse", "reward must be one of ot, environment, not 'sparse'"),
        ("pictures: {device: tpu}", "pictures: device must be one of auto, cpu, cuda, not 'tpu'"),
        ("goal_rollouts: 3", "goal_rollouts must be at least"),
        ("[1, 2]", "must be a mapping, not list"),
        ("steps: .inf", "steps must be a whole number, not inf"),
        ("steps: 1e300", r"steps must be a whole number, not 1e\+300"),
        ("seed_noise: 1e300", r"seed_noise must be a number \(of 1e12 at most\), not 1e\+300"),
        ("seed_noise: .nan", "seed_noise must be a number"),
        ("reward: 3", "reward must be one of ot, environment, not 3"),
        ("pictures: {camera: 3}", r"pictures: camera must be text \(in quotes\), not 3"),
        ("pictures: {state: [1]}", r"pictures: state must be a list, each entry text \(in quotes\), not \[1\]"),
        ("pictures: {bf16: on}", "pictures: bf16 must be true or false, not 'on'"),
        ("steps: 3\nsteps: 4", "line 2: key 'steps' is there twice"),
        ("[" * 5000, "more than 50 levels of nesting"),
        ("steps: [", "cannot be read as YAML"),
    ],
)
def test_wrong_settings_are_refused_with_file_and_reason(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=rf"wrong\.yaml.*{words}"):
        load_learn_config(path)


def test_a_file_that_is_not_utf_8_is_named(tmp_path: Path) -> None:
    path = tmp_path / "latin.yaml"
    path.write_bytes(b"# f\xfcr\nsteps: 3\n")
    with pytest.raises(ConfigError, match=r"latin\.yaml: cannot be read: byte 3 is not UTF-8"):
        load_learn_config(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml"):
        load_learn_config(tmp_path / "none.yaml")
