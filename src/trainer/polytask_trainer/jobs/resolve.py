"""Resolve a job's fields into a configuration, an environment and a policy specification."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import gymnasium

    from polytask_trainer.experts.config import LearnConfig
    from polytask_trainer.jobs.spec import LearnJob


def learn_settings(job: LearnJob) -> LearnConfig:
    """The settings of a learn job: its file, or the suite's, with what the job itself says on top."""
    from polytask_trainer.experts.config import learn_config, load_learn_config

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
    from polytask_robot_io.config_files import config_files

    known = config_files("trainer")
    if not settings:
        return known.get(default)
    path = known.get(settings, Path(settings).expanduser())
    if not path.is_file():
        raise ValueError(f"settings '{settings}' are no file, and none of {', '.join(known)}")
    return path


def make_environment(job: LearnJob) -> gymnasium.Env[Any, Any]:
    """The job's environment: the suite's own in this process, or the same one through the topics."""
    from polytask_suites import make_env
    from polytask_trainer.envs.ros_env import TopicEnv

    if job.through_topics:
        return TopicEnv(job.suite, job.task, namespace=job.namespace)
    return make_env(job.suite, job.task)
