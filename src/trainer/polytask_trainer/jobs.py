"""What the trainer is asked to do, as plain data, and how it is done. Runs in a process of its own, see worker.py."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import functools
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

if TYPE_CHECKING:
    import gymnasium

    from polytask_policy.description import Description
    from polytask_trainer.config import LearnConfig
    from polytask_trainer.learner import LearnResult

Progress = Callable[[dict[str, Any]], None]
ShouldStop = Callable[[], bool]

LOCK_TIMEOUT = 10.0
"""s to wait until another process has left the run folder."""


class JobRefused(Exception):
    """The job cannot be done as asked; the message says why and what to do."""


@dataclass(frozen=True)
class LearnJob:
    """Learn an expert for one task."""

    kind: ClassVar[str] = "learn"
    task: str
    demonstrations: str
    """Folder with the task's recorded episodes; episodes of other tasks in it are passed over. Or an HDF5 file, or
    ``none``; see :func:`polytask_trainer.demonstrations.read_demonstrations`."""
    output: str
    """Run folder. The same job with the same folder resumes."""
    suite: str = "tabletop"
    reward: str = ""
    """``ot`` or ``environment``; empty: the settings'."""
    steps: int = 0
    """Agent steps; 0: the settings'."""
    seed: int = 0
    settings: str = ""
    """YAML file of a LearnConfig, or the name of one in config/trainer; empty: the one named as the suite where there
    is one, else the defaults."""
    through_topics: bool = False
    """Step a simulator at pace ``service`` through its topics, instead of the suite in this process."""
    namespace: str = ""
    """Of that simulator."""
    policy: str = ""
    """Folder of a unified policy to begin with; empty: begin at random."""
    online: bool = False
    """That policy itself learns the task, and rehearses its others (appendix D), instead of a copy for one goal."""


@dataclass(frozen=True)
class DistillJob:
    """Distil experts into one policy."""

    kind: ClassVar[str] = "distill"
    experts: tuple[str, ...]
    """Run folders of learn jobs."""
    output: str
    steps: int = 0
    """Gradient steps; 0: the default."""
    seed: int = 0
    storage: int = 0
    """Replay samples that the policy remembers, of all tasks together; 0: all."""


@dataclass(frozen=True)
class AssimilateJob:
    """Teach a unified policy the task of one more expert, in place."""

    kind: ClassVar[str] = "assimilate"
    expert: str
    """Run folder of a learn job."""
    output: str
    """Folder of the unified policy."""
    steps: int = 0
    """Gradient steps; 0: the default."""
    seed: int = 0
    rehearse: bool = True
    """False: plain fine-tuning, which forgets; a baseline for experiments."""


@dataclass(frozen=True)
class EvaluateJob:
    """Run a policy on fresh starts of one task, in process."""

    kind: ClassVar[str] = "evaluate"
    checkpoint: str
    """Folder of an expert or of a unified policy."""
    task: str
    suite: str = "tabletop"
    goal: str = "task"
    """How a unified policy is asked: ``task``, ``words`` (taught sentences in turn), ``image`` or ``none``."""
    pictures: str = ""
    """For ``image``: folder of the experts' run folders, whose goal_images.npz are shown in turn."""
    episodes: int = 25
    first: int = 0
    """Number of the first start; the same numbers are the same starts for every policy."""


@dataclass(frozen=True)
class RunJob:
    """Do one run of an experiment."""

    kind: ClassVar[str] = "run"
    run: Mapping[str, Any]
    """``Run.to_json()`` of polytask_trainer.experiments.run."""
    root: str
    """Folder of the runs' folders."""


Job = LearnJob | DistillJob | AssimilateJob | EvaluateJob | RunJob
_KINDS = (LearnJob, DistillJob, AssimilateJob, EvaluateJob, RunJob)
KINDS: Mapping[str, type[Any]] = {kind.kind: kind for kind in _KINDS}


def run(job: Job, on_progress: Progress, should_stop: ShouldStop) -> dict[str, Any]:
    """Do the job; gives ``finished`` (False: stopped, the same job resumes) and what was measured.

    Raises:
        JobRefused: it cannot be done as asked.
    """
    from polytask_policy.checkpoint import CheckpointError
    from polytask_policy.text import TextModelError
    from polytask_trainer.distill_data import DistillError
    from polytask_trainer.training_state import ResumeError

    begun = False

    def progress(report: dict[str, Any]) -> None:
        nonlocal begun
        begun = begun or report.get("step", 0) > 0
        on_progress(report)

    try:
        if isinstance(job, EvaluateJob):
            return _evaluate(job, progress, should_stop)
        if isinstance(job, RunJob):
            with _alone_in(Path(job.root) / job.run["name"]):
                return _run(job, progress, should_stop)
        with _alone_in(Path(job.output).expanduser()):
            if isinstance(job, LearnJob):
                return _learn(job, progress, should_stop)
            if isinstance(job, AssimilateJob):
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
    from polytask_trainer.demonstrations import NONE, read_demonstrations
    from polytask_trainer.learn import learn_expert
    from polytask_trainer.warm_start import learn_from

    config = learn_settings(job)
    sees = config.pictures is not None
    if sees and job.through_topics:
        raise ValueError("a policy that sees is learned in process, by several actors: leave out through_topics")
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


def learn_settings(job: LearnJob) -> LearnConfig:
    """The settings of a learn job: its file, or the suite's, with what the job itself says on top."""
    from polytask_robot_io.embodiment import config_folder
    from polytask_trainer.config import learn_config, load_learn_config

    said: dict[str, Any] = {"seed": job.seed}
    if job.reward:
        said["reward"] = job.reward
    if job.steps:
        said["steps"] = job.steps
    named = config_folder() / "trainer"
    if job.settings:
        known = sorted(path.stem for path in named.glob("*.yaml"))
        path = named / f"{job.settings}.yaml" if job.settings in known else Path(job.settings).expanduser()
        if not path.is_file():
            raise ValueError(f"settings '{job.settings}' are no file, and none of {', '.join(known)}")
        return load_learn_config(path, **said)
    of_suite = named / f"{job.suite}.yaml"
    return load_learn_config(of_suite, **said) if of_suite.is_file() else learn_config(said)


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


def _distill(job: DistillJob, on_progress: Progress, should_stop: ShouldStop) -> dict[str, Any]:
    from polytask_trainer.distill import distill
    from polytask_trainer.distill_config import DistillConfig

    config = DistillConfig(seed=job.seed, steps=job.steps or DistillConfig.steps, storage=job.storage)
    result = distill(
        config,
        [Path(folder).expanduser() for folder in job.experts],
        Path(job.output).expanduser(),
        on_progress=lambda at: on_progress({"step": at.step, "total_steps": at.steps, "loss": at.loss}),
        should_stop=should_stop,
    )
    return {"finished": result.finished, "steps": result.steps, "loss": result.loss, "output": job.output}


def _assimilate(job: AssimilateJob, on_progress: Progress, should_stop: ShouldStop) -> dict[str, Any]:
    from polytask_trainer.distill_config import DistillConfig
    from polytask_trainer.lifelong import STEPS, assimilate

    result = assimilate(
        DistillConfig(seed=job.seed, steps=job.steps or STEPS),
        Path(job.expert).expanduser(),
        Path(job.output).expanduser(),
        rehearse=job.rehearse,
        on_progress=lambda at: on_progress({"step": at.step, "total_steps": at.steps, "loss": at.loss}),
        should_stop=should_stop,
    )
    return {"finished": result.finished, "steps": result.steps, "loss": result.loss, "output": job.output}


def _run(job: RunJob, on_progress: Progress, should_stop: ShouldStop) -> dict[str, Any]:
    from polytask_trainer.experiments.run import execute

    return {"finished": execute(job.run, Path(job.root), on_progress, should_stop)}


def _evaluate(job: EvaluateJob, on_progress: Progress, should_stop: ShouldStop) -> dict[str, Any]:
    from polytask_sim_bridge.suites import make_env
    from polytask_trainer.evaluate import Evaluation, evaluate, evaluation_seeds

    env = make_env(job.suite, job.task)
    parts: list[Evaluation] = []
    try:
        act_in = _episode_policies(job, env)
        for index, seed in enumerate(evaluation_seeds(job.episodes, job.first)):
            if should_stop():
                return {"finished": False, "steps": index}
            parts.append(evaluate(act_in(index), env, [seed]))
            on_progress({"step": index + 1, "total_steps": job.episodes})
    finally:
        env.close()
    whole = Evaluation.joined(parts).to_json()
    return {"finished": True, "steps": job.episodes, "task": job.task, "goal": job.goal, **whole}


def _episode_policies(
    job: EvaluateJob, env: gymnasium.Env[Any, Any]
) -> Callable[[int], Callable[[np.ndarray], np.ndarray]]:
    """Gives the policy of each episode by its number: an expert is the same in all, a unified one is asked anew."""
    from polytask_policy.checkpoint import load_checkpoint
    from polytask_policy.expert import KIND as EXPERT
    from polytask_policy.expert import ExpertPolicy
    from polytask_policy.unified import UnifiedPolicy
    from polytask_trainer.evaluate import in_episode

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


def to_dict(job: Job) -> dict[str, Any]:
    """JSON-able form of a job."""
    return {"kind": job.kind, **dataclasses.asdict(job)}


def from_dict(content: Mapping[str, Any]) -> Job:
    """Reverse of :func:`to_dict`."""
    values = dict(content)
    kind = KINDS[values.pop("kind")]
    if "experts" in values:
        values["experts"] = tuple(values["experts"])
    job: Job = kind(**values)
    return job
