"""Resolve a job's fields into a configuration, an environment and a policy specification."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import gymnasium

    from polytask_policy.description import Description
    from polytask_trainer.config import LearnConfig
    from polytask_trainer.jobs import LearnJob


def learn_settings(job: LearnJob) -> LearnConfig:
    """The settings of a learn job: its file, or the suite's, with what the job itself says on top."""
    from polytask_trainer.config import learn_config, load_learn_config

    said: dict[str, Any] = {"seed": job.seed}
    if job.reward:
        said["reward"] = job.reward
    if job.steps:
        said["steps"] = job.steps
    path = settings_file(job.settings, job.suite)
    return load_learn_config(path, **said) if path else learn_config(said)


def settings_file(settings: str, default: str) -> Path | None:
    """The YAML file that is meant by a path or a name in config/trainer; for none the one named ``default``, if any.

    Raises ValueError where there is no such file.
    """
    from polytask_robot_io.embodiment import config_folder

    named = config_folder() / "trainer"
    if not settings:
        path = named / f"{default}.yaml"
        return path if path.is_file() else None
    known = sorted(path.stem for path in named.glob("*.yaml"))
    path = named / f"{settings}.yaml" if settings in known else Path(settings).expanduser()
    if not path.is_file():
        raise ValueError(f"settings '{settings}' are no file, and none of {', '.join(known)}")
    return path


def make_environment(job: LearnJob) -> gymnasium.Env[Any, Any]:
    """The job's environment: the suite's own in this process, or the same one through the topics."""
    from polytask_sim_bridge.suites import make_env
    from polytask_trainer.topic_env import TopicEnv

    if job.through_topics:
        return TopicEnv(job.suite, job.task, namespace=job.namespace)
    return make_env(job.suite, job.task)


def describe(suite: str, task: str, embodiment: Any) -> Description:
    """What an expert of ``task`` is trained for."""
    import yaml

    from polytask_policy.description import Description
    from polytask_sim_bridge.suites import load_suite

    known = load_suite(suite).task(task)
    return Description(
        suite=suite,
        tasks=(task,),
        state_names=embodiment.state_names,
        action_names=embodiment.command_names,
        instructions={task: known.instructions},
        descriptions={task: known.description},
        embodiment=yaml.safe_load(embodiment.to_yaml()),
    )
