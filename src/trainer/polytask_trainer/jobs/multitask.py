"""Methods that learn several tasks together, by name: AuxDistill, OT-regularised learning, and its baselines.

They learn from the suite's own reward, without demonstrations, and write run folders of experts as `learn` does, which
`distill` makes one policy of.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from polytask_trainer.jobs.resolve import settings_file
from polytask_trainer.jobs.spec import METHODS, JobRefused, LearnJob
from polytask_trainer.rollouts.goal_rollouts import write_expert

TRIES = 20
"""Episodes in which successes of an expert are looked for."""

Progress = Callable[[dict[str, Any]], None]
ShouldStop = Callable[[], bool]


def learn(job: LearnJob, on_progress: Progress, should_stop: ShouldStop) -> dict[str, Any]:
    """Learn a job's tasks by its method; gives what ``execute.run`` does.

    ``output`` in it is the folder of the expert of ``job.task``, empty where there is none, and ``message`` says where
    the experts are. A job without settings has ``SUITE_auxdistill`` or ``SUITE_together`` in config/trainer. Raises
    ValueError for what the method cannot do, and JobRefused where auxdistill's experts were learned in part.
    """
    if job.method not in METHODS:
        raise ValueError(f"there is no method '{job.method}'; there are: {', '.join(METHODS)}")
    if job.through_topics or job.policy or job.reward == "ot":
        raise ValueError(
            f"method {job.method} learns in process from the suite's own reward: leave out through_topics, a policy to "
            "begin with, and the reward"
        )
    path = settings_file(job.settings, f"{job.suite}_{'auxdistill' if job.method == 'auxdistill' else 'together'}")
    said: dict[str, Any] = {"seed": job.seed, **({"steps": job.steps} if job.steps else {})}
    if job.method == "auxdistill":
        return _auxdistill(job, path, said, on_progress, should_stop)
    return _together(job, path, {**said, "method": job.method}, on_progress, should_stop)


def _auxdistill(
    job: LearnJob, path: Path | None, said: dict[str, Any], on_progress: Progress, should_stop: ShouldStop
) -> dict[str, Any]:
    """The main task with its auxiliary ones; each gets a run folder in the output folder."""
    from polytask_trainer.auxdistill.config import load_auxdistill_config
    from polytask_trainer.auxdistill.students import TeachingError, learn_experts

    if path is None:
        raise ValueError(f"which tasks help which is for settings to say: there is no {job.suite}_auxdistill")
    tasks = {"main": job.task, **({"auxiliaries": job.with_tasks} if job.with_tasks else {})}
    config = load_auxdistill_config(path, **said, **tasks)
    output = Path(job.output).expanduser()
    try:
        done = learn_experts(config, job.suite, output, on_progress=on_progress, should_stop=should_stop)
    except TeachingError as error:
        raise JobRefused(str(error)) from error
    return {"finished": done.finished, "steps": done.steps, **_experts(job, config.tasks)}


def _together(
    job: LearnJob, path: Path | None, said: dict[str, Any], on_progress: Progress, should_stop: ShouldStop
) -> dict[str, Any]:
    """All tasks on equal terms; each gets a run folder in the output folder, where its actions are continuous."""
    from polytask_robot_io.embodiment import Embodiment
    from polytask_suites import EMBODIMENTS, make_env
    from polytask_trainer.experts.spec import describe
    from polytask_trainer.ot_regularised.config import load_tasks_config, tasks_config
    from polytask_trainer.ot_regularised.learn import learn_tasks
    from polytask_trainer.ot_regularised.suites import expert, make_learner

    config = load_tasks_config(path, **said) if path else tasks_config(said)
    output, tasks = Path(job.output).expanduser(), (job.task, *job.with_tasks)
    learner = make_learner(config, job.suite, tasks)
    try:
        finished = learn_tasks(learner, output / "training", on_progress=on_progress, should_stop=should_stop)
        if finished and not learner.discrete:
            for index, task in enumerate(tasks):
                description = describe(job.suite, task, Embodiment.load(EMBODIMENTS[job.suite]))
                with closing(make_env(job.suite, task)) as env:
                    agent = expert(learner, index, description)
                    write_expert(agent, env, output / task, seed=job.seed, tries=TRIES, steps=learner.step)
    finally:
        learner.env.close()
    if learner.discrete:
        message = f"no experts: agents that choose among moves cannot be served; they are in {job.output}/training"
        return {"finished": finished, "steps": learner.step, "output": "", "message": message}
    return {"finished": finished, "steps": learner.step, **_experts(job, tasks)}


def _experts(job: LearnJob, tasks: Sequence[str]) -> dict[str, str]:
    """Where the experts of ``tasks`` are, that of the job's own first."""
    return {"output": str(Path(job.output) / job.task), "message": f"experts of {', '.join(tasks)} in {job.output}"}
