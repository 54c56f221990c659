"""Demonstrations by a learned expert: ``python -m polytask_trainer.rollouts.export EXPERT --output FILE.hdf5``.

For tasks without a script, such as the cheetah's: the expert's episodes as an HDF5 file in Minari's form, which
``./polytask learn --demonstrations FILE.hdf5`` takes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from polytask_demo_recorder.dataset.foreign import write_hdf5
from polytask_policy.expert import ExpertPolicy
from polytask_suites import make_env
from polytask_trainer.rollouts.episode import rollout


def demonstrate(expert: Path, output: Path, episodes: int = 10, first_seed: int = 0) -> list[float]:
    """Write whole episodes of an expert, from the demonstrations' range of seeds; gives their returns."""
    policy = ExpertPolicy.load(expert)
    env = make_env(policy.description.suite, policy.task)
    try:
        shown = [
            rollout(env, policy.act, first_seed + number, env.get_wrapper_attr("horizon")) for number in range(episodes)
        ]
    finally:
        env.close()
    write_hdf5(output, [(one.states, one.actions, one.rewards) for one in shown])
    return [float(one.rewards.sum()) for one in shown]


def main() -> None:
    """Write the file and print the returns."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("expert", type=Path, help="run folder of an expert")
    parser.add_argument("--output", type=Path, required=True, help="HDF5 file to write")
    parser.add_argument("--episodes", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=0)
    options = parser.parse_args()
    returns = demonstrate(options.expert, options.output, options.episodes, options.first_seed)
    print(f"{options.output}: {len(returns)} episodes, returns {', '.join(f'{one:.0f}' for one in returns)}")


if __name__ == "__main__":
    main()
