"""Doing a job; in a process of its own, see worker.py."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import pkgutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from polytask_trainer.jobs.spec import POLYTASK, AddTaskJob, CallJob, DistillJob, EvaluateJob, Job, JobRefused, LearnJob

if TYPE_CHECKING:
    import gymnasium

    from polytask_trainer.experts.learn import LearnResult

Progress = Callable[[dict[str, Any]], None]
ShouldStop = Callable[[], bool]

LOCK_TIMEOUT = 10.0
"""s to wait until another process has left the run folder."""


def at(step: float, total_steps: float, phase: str) -> dict[str, Any]:
    """A report of progress."""
    return {"step": step, "total_steps": total_steps, "phase": phase}


def run(job: Job, on_progress: Progress, should_stop: ShouldStop) -> dict[str, Any]:
    """Do the job; gives ``finished`` (False: stopped, the same job resumes) and what was measured, JSON-able.

    A job that makes a policy also gives ``output``, the policy's folder. What a CallJob's function raises is passed on.

    Raises:
        JobRefused: it cannot be done as asked.
    """
    from polytask_trainer.common.allocator import keep_memory

    keep_memory()
    if isinstance(job, CallJob):  # first: a function may need nothing of what is imported below
        with _alone_in(Path(job.output).expanduser()):
            return _call(job, on_progress, should_stop)

    from polytask_policy.checkpoint import CheckpointError
    from polytask_policy.text import TextModelError
    from polytask_trainer.common.errors import ResumeError
    from polytask_trainer.distillation.dataset import DistillError
    from polytask_trainer.jobs import multitask

    begun = False

    def progress(report: dict[str, Any]) -> None:
        nonlocal begun
        begun = begun or report.get("step", 0) > 0
        on_progress(report)

    try:
        if isinstance(job, EvaluateJob):
            return _evaluate(job, progress, should_stop)
        with _alone_in(Path(job.output).expanduser()):
            if isinstance(job, LearnJob):
                if job.method not in ("", POLYTASK):
                    return multitask.learn(job, progress, should_stop)
                return _learn(job, progress, should_stop)
            if isinstance(job, AddTaskJob):
                return _assimilate(job, progress, should_stop)
            return _distill(job, progress, should_stop)
    except (CheckpointError, TextModelError, DistillError, ResumeError) as error:
        raise JobRefused(str(error)) from error
    except (ValueError, RuntimeError) as error:
        # What is wrong with the request shows before the first step; later it is a fault of ours or of the simulator.
        if begun:
            raise
        raise JobRefused(str(error)) from error


@contextlib.contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Keep others out of a run folder. A worker whose parent was killed is given time to save its state and leave."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("w")
    except OSError as error:
        raise JobRefused(f"the output folder cannot be written: {error}") from error
    with lock:
        end = time.monotonic() + LOCK_TIMEOUT
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise JobRefused(f"another process is working in {folder}; end it, or choose another") from None
                time.sleep(0.1)
        yield


def _learn(job: LearnJob, on_progress: Progress, should_stop: ShouldStop) -> dict[str, Any]:
    from polytask_trainer.experts.demonstrations import NONE, read_demonstrations
    from polytask_trainer.experts.learn import learn_expert
    from polytask_trainer.experts.spec import describe
    from polytask_trainer.jobs.resolve import learn_settings, make_environment
    from polytask_trainer.lifelong.learn import learn_from

    config = learn_settings(job)
    sees = config.pictures is not None
    if sees and job.through_topics:
        raise ValueError(
            "a policy that sees is learned in process, by several actors: leave out --through-topics, or start the "
            "trainer's node with `./polytask up train simulation:=false`"
        )
    if job.demonstrations == NONE and (config.reward != "environment" or config.agent.bc_lambda > 0):
        raise ValueError("without demonstrations the reward has to be the environment's, and agent.bc_lambda 0")
    demonstrations = read_demonstrations(job.demonstrations, job.suite, job.task, cameras=sees)
    if job.policy:
        learn: Callable[..., LearnResult] = functools.partial(
            learn_from, Path(job.policy).expanduser(), online=job.online
        )
    else:
        learn = learn_expert
    result = learn(
        config,
        functools.partial(make_environment, job),
        demonstrations,
        describe(job.suite, job.task, demonstrations[0].embodiment),
        Path(job.output).expanduser(),
        on_progress=on_progress,
        should_stop=should_stop,
    )
    return {"finished": result.finished, "steps": result.steps, "seconds": result.seconds, "output": job.output}


def _distill(job: DistillJob, on_progress: Progress, should_stop: ShouldStop) -> dict[str, Any]:
    from polytask_trainer.distillation.config import DistillConfig
    from polytask_trainer.distillation.distill import distill

    config = DistillConfig(seed=job.seed, steps=job.steps or DistillConfig.steps, storage=job.storage)
    result = distill(
        config,
        [Path(folder).expanduser() for folder in job.experts],
        Path(job.output).expanduser(),
        on_progress=lambda at: on_progress({"step": at.step, "total_steps": at.steps, "loss": at.loss}),
        should_stop=should_stop,
    )
    return {"finished": result.finished, "steps": result.steps, "loss": result.loss, "output": job.output}


def _assimilate(job: AddTaskJob, on_progress: Progress, should_stop: ShouldStop) -> dict[str, Any]:
    from polytask_trainer.distillation.config import DistillConfig
    from polytask_trainer.lifelong.add_task import STEPS, add_task

    result = add_task(
        DistillConfig(seed=job.seed, steps=job.steps or STEPS),
        Path(job.expert).expanduser(),
        Path(job.output).expanduser(),
        rehearse=job.rehearse,
        on_progress=lambda at: on_progress({"step": at.step, "total_steps": at.steps, "loss": at.loss}),
        should_stop=should_stop,
    )
    return {"finished": result.finished, "steps": result.steps, "loss": result.loss, "output": job.output}


def _call(job: CallJob, on_progress: Progress, should_stop: ShouldStop) -> dict[str, Any]:
    function: Callable[..., dict[str, Any]] = pkgutil.resolve_name(job.target)
    if job.polls:
        return function(**job.arguments, on_progress=on_progress, should_stop=should_stop)
    result = function(**job.arguments, on_progress=on_progress)
    return {**result, "finished": not should_stop()}  # something in it may have swallowed the interrupt


def _evaluate(job: EvaluateJob, on_progress: Progress, should_stop: ShouldStop) -> dict[str, Any]:
    from polytask_suites import make_env
    from polytask_trainer.rollouts.evaluate import Evaluation, evaluate, evaluation_seeds

    env = make_env(job.suite, job.task)
    parts: list[Evaluation] = []
    actions: list[list[float]] = []

    def kept(act: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
        def acting(state: np.ndarray) -> np.ndarray:
            action = act(state)
            actions.append(action.tolist())
            return action

        return acting

    try:
        act_in = _episode_policies(job, env)
        for index, seed in enumerate(evaluation_seeds(job.episodes, job.first)):
            if should_stop():
                return {"finished": False, "steps": index}
            act = act_in(index)
            parts.append(evaluate(kept(act) if job.actions and index == 0 else act, env, [seed]))
            on_progress({"step": index + 1, "total_steps": job.episodes})
    finally:
        env.close()
    whole = Evaluation.joined(parts).to_json()
    result = {"finished": True, "steps": job.episodes, "task": job.task, "goal": job.goal, **whole}
    return {**result, "actions": actions} if job.actions else result


def _episode_policies(
    job: EvaluateJob, env: gymnasium.Env[Any, Any]
) -> Callable[[int], Callable[[np.ndarray], np.ndarray]]:
    """Gives the policy of each episode by its number: an expert is the same in all, a unified one is asked anew."""
    from polytask_policy.checkpoint import load_checkpoint
    from polytask_policy.expert import KIND as EXPERT
    from polytask_policy.expert import ExpertPolicy
    from polytask_policy.unified import UnifiedPolicy
    from polytask_trainer.rollouts.evaluate import in_episode

    folder = Path(job.checkpoint).expanduser()
    if load_checkpoint(folder)[1].get("kind") == EXPERT:
        expert = ExpertPolicy.load(folder)
        if expert.task != job.task:
            raise ValueError(f"{folder} is an expert of '{expert.task}', not of '{job.task}'")
        return lambda index: in_episode(expert.act, expert.description, env)
    policy = UnifiedPolicy.load(folder)
    if job.goal == "none":
        goals = [policy.no_goal()]
    elif job.goal == "task":
        goals = [policy.goal_from_task(job.task)]
    elif job.goal == "words":
        goals = [policy.goal_from_words(sentence) for sentence in policy.description.instructions[job.task]]
    elif job.goal == "image":
        if not job.pictures:
            raise ValueError("to ask by image, say in which folder the experts' run folders with goal pictures lie")
        with np.load(Path(job.pictures).expanduser() / job.task / "goal_images.npz", allow_pickle=False) as file:
            goals = [policy.goal_from_image(picture) for picture in file["images"]]
    else:
        raise ValueError(f"goal is '{job.goal}'; it must be task, words, image or none")

    def asked(index: int) -> Callable[[np.ndarray], np.ndarray]:
        goal = goals[index % len(goals)]
        return in_episode(lambda state, *seen: policy.act(state, goal, *seen), policy.description, env)

    return asked
