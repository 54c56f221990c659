"""What each part of the matching reward is worth: experts learned without it, on the same starts and seeds.

``python -m polytask_trainer.ablation --demonstrations DATASET --output FILE`` learns one
expert per variant, task and seed from the first recorded demonstration, and writes success on unseen starts as JSON.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import gymnasium
import torch

from polytask_policy.checkpoint import write_atomically
from polytask_policy.description import Description
from polytask_policy.expert import ExpertPolicy
from polytask_trainer.cloning import clone_expert
from polytask_trainer.config import LearnConfig, load_learn_config
from polytask_trainer.episodes import Demonstration
from polytask_trainer.evaluate import evaluate, evaluation_seeds
from polytask_trainer.learn import learn_expert

VARIANTS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "default": {},
        "nearest frame": {"plan": "nearest"},
        "no time term": {"time_weight": 0.0},
        "nearest frame, no time term": {"plan": "nearest", "time_weight": 0.0},
        "absolute features": {"features": "absolute"},
        "original reward": {"reward": "cost"},
        "cosine cost": {"cost": "cosine"},
        "all as in the paper": {"features": "absolute", "reward": "cost", "cost": "cosine", "time_weight": 0.0},
    }
)
"""Changes of MatchingConfig, by name."""


@dataclasses.dataclass(frozen=True)
class Subject:
    """A task to ablate on: how to make its environment, its demonstrations, and what it is."""

    env_factory: Callable[[], gymnasium.Env[Any, Any]]
    demonstrations: Sequence[Demonstration]
    description: Description


def ablate(
    config: LearnConfig,
    subjects: Mapping[str, Subject],
    seeds: Sequence[int],
    episodes: int,
    output: Path,
    variants: Sequence[str] = tuple(VARIANTS),
    on_result: Callable[[dict[str, Any]], None] | None = None,
) -> list[dict[str, Any]]:
    """Learn every variant on every task and seed, and evaluate each on ``episodes`` unseen starts.

    Rows {variant, task, seed, success, ...} are written to ``output`` as they come; rows already there are kept, so an
    interrupted ablation carries on. The variant "cloning" is the policy before RL. Raises KeyError for an unknown one.
    """
    rows: list[dict[str, Any]] = json.loads(output.read_text())["rows"] if output.exists() else []
    done = {(row["variant"], row["task"], row["seed"]) for row in rows}
    settings = dataclasses.asdict(config)
    for seed in seeds:
        for task, subject in subjects.items():
            for variant in ("cloning", *variants):
                if (variant, task, seed) in done:
                    continue
                row = {"variant": variant, "task": task, "seed": seed}
                row |= _measure(variant, dataclasses.replace(config, seed=seed), subject, episodes)
                rows.append(row)
                output.parent.mkdir(parents=True, exist_ok=True)
                document = {"settings": settings, "episodes": episodes, "rows": rows}
                write_atomically(output, json.dumps(document, indent=1).encode())
                if on_result is not None:
                    on_result(row)
    return rows


def _measure(variant: str, config: LearnConfig, subject: Subject, episodes: int) -> dict[str, Any]:
    if variant == "cloning":
        policy, seconds = clone_expert(config, subject.demonstrations, subject.description), 0.0
    else:
        matching = dataclasses.replace(config.matching, **VARIANTS[variant])
        changed = dataclasses.replace(config, matching=matching, goal_pictures=1, goal_rollouts=1)
        with tempfile.TemporaryDirectory() as folder:
            result = learn_expert(changed, subject.env_factory, subject.demonstrations, subject.description, folder)
            policy, seconds = ExpertPolicy.load(folder), result.seconds
    env = subject.env_factory()
    try:
        figures = evaluate(policy.act, env, evaluation_seeds(episodes)).to_json()
    finally:
        env.close()
    return {"success": figures["success"], "low": figures["low"], "high": figures["high"], "seconds": round(seconds, 1)}


def subjects_from_recordings(suite: str, tasks: Sequence[str], folder: Path) -> dict[str, Subject]:
    """Take each task's first recorded demonstration. Raises the dataset reader's errors."""
    import polytask_sim_bridge.suites  # noqa: F401  (registers the environments)
    from polytask_demo_recorder.dataset import read_dataset

    subjects = {}
    for task in tasks:
        episode = read_dataset(folder, task)[0]
        embodiment = episode.embodiment
        names = embodiment.state_names, embodiment.command_names
        description = Description(suite, (task,), *names, embodiment=dataclasses.asdict(embodiment))

        def factory(name: str = f"{suite}/{task}") -> gymnasium.Env[Any, Any]:
            return gymnasium.make(name)

        subjects[task] = Subject(factory, [episode], description)
    return subjects


def main() -> None:
    """Read the command line and run the ablation."""
    parser = argparse.ArgumentParser(prog="polytask_trainer.ablation", description=__doc__)
    parser.add_argument("--demonstrations", type=Path, required=True, help="folder of recorded episodes")
    parser.add_argument("--suite", default="tabletop", help="suite of the tasks")
    parser.add_argument("--tasks", nargs="+", default=["drawer-open", "peg-green"])
    parser.add_argument("--settings", type=Path, help="YAML file of LearnConfig")
    parser.add_argument("--steps", type=int, help="agent steps, instead of the settings'")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--episodes", type=int, default=40, help="evaluation episodes of each expert")
    parser.add_argument("--variants", nargs="+", choices=list(VARIANTS), default=list(VARIANTS))
    parser.add_argument("--output", type=Path, default=Path("docs/results/reward_ablation.json"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    config = load_learn_config(options.settings) if options.settings else LearnConfig()
    if options.steps:
        config = dataclasses.replace(config, steps=options.steps)
    subjects = subjects_from_recordings(options.suite, options.tasks, options.demonstrations)
    ablate(
        config,
        subjects,
        options.seeds,
        options.episodes,
        options.output,
        options.variants,
        lambda row: print(json.dumps(row), flush=True),
    )


if __name__ == "__main__":
    main()
