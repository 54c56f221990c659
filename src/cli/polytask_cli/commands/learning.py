"""`learn`, `distill` and `evaluate`: the trainer's jobs from the command line."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from polytask_cli.commands.common import console, errors, fail

if TYPE_CHECKING:
    from polytask_trainer.jobs.spec import Job


class Reward(str, Enum):
    """Where the reward of reinforcement learning comes from."""

    ot = "ot"
    environment = "environment"


class Method(str, Enum):
    """How tasks are learned; all but the first learn several together, from the suite's own reward."""

    polytask = "polytask"
    auxdistill = "auxdistill"
    ot_regularised = "ot_regularised"
    distral = "distral"
    separate = "separate"


class Variant(str, Enum):
    """How a policy learns one more task."""

    offline = "offline"
    online = "online"


class GoalKind(str, Enum):
    """How a unified policy is asked."""

    task = "task"
    words = "words"
    image = "image"
    none = "none"


Steps = Annotated[int, typer.Option(help="Steps to train; 0: as many as the settings say.", min=0)]
Seed = Annotated[int, typer.Option(help="Seed; the same seed gives the same result.", min=0)]


def run_all(jobs: dict[str, Job], parallel: int = 1) -> dict[str, dict[str, Any]]:
    """Run jobs of the trainer by title, with progress bars; gives their results.

    Ctrl-C or SIGTERM has them save their state and ends the command with status 130. One that was refused or failed
    ends it with status 1.
    """
    from polytask_trainer.jobs.display import Bars
    from polytask_trainer.jobs.pool import JobEnded, run_jobs

    try:
        with Bars(console, len(jobs)) as bars:
            return run_jobs(jobs, bars, parallel)
    except JobEnded as error:
        if error.ending.how == "stopped":
            errors.print("stopped; the same command carries on from the last checkpoint")
            raise typer.Exit(130) from error
        errors.print("[bold red]polytask:[/] ", end="")
        errors.print(str(error) if len(jobs) > 1 else error.ending.message, markup=False, soft_wrap=True)
        raise typer.Exit(1) from error


def learn(
    task: Annotated[list[str], typer.Argument(help="Tasks to learn, such as drawer-open.", show_default=False)],
    demonstrations: Annotated[
        Path, typer.Option(help="Folder of recordings; those of other tasks in it are passed over.")
    ] = Path("data/demonstrations"),
    output: Annotated[Path, typer.Option(help="Folder that gets a run folder for each task.")] = Path("runs/experts"),
    suite: Annotated[str, typer.Option(help="Suite of the task; see docs/reference/suites.md.")] = "tabletop",
    reward: Annotated[
        Reward | None,
        typer.Option(help="ot: likeness to the demonstration, by optimal transport; environment: the suite's own."),
    ] = None,
    steps: Steps = 0,
    seed: Seed = 0,
    settings: Annotated[
        Path | None, typer.Option(help="YAML file of settings. Default: config/trainer/SUITE.yaml.")
    ] = None,
    through_topics: Annotated[
        bool,
        typer.Option("--through-topics", help="Step a simulator that runs in stepping mode service; see `up train`."),
    ] = False,
    namespace: Annotated[str, typer.Option(help="Namespace of that simulator.")] = "",
    parallel: Annotated[int, typer.Option(help="How many tasks to learn at once, a core each.", min=1)] = 1,
    into: Annotated[
        Path | None, typer.Option(help="Unified policy that is then taught the tasks, one after another, in place.")
    ] = None,
    variant: Annotated[
        Variant, typer.Option(help="With --into: an expert learns and is imitated, or the policy itself learns online.")
    ] = Variant.offline,
    warm_start: Annotated[
        Path | None, typer.Option(help="Unified policy that is tried first; what went well of it is imitated too.")
    ] = None,
    method: Annotated[
        Method, typer.Option(help="The others need no demonstrations and learn all tasks together; see docs.")
    ] = Method.polytask,
) -> None:
    """Learn an expert for each task from its demonstrations, by imitation and then reinforcement.

    The reward is likeness to the demonstration; the environment's is not looked at. Stopped at any moment, also by
    kill -9, the same command carries on from the last checkpoint. Curves: `tensorboard --logdir runs`.

    With --into, a unified policy learns the tasks too and forgets none; see docs/explanation/lifelong.md. With
    --method, tasks are learned together, from the suite's own reward: `--suite pocket_house --method auxdistill
    rearrange-hard`.
    """
    from polytask_trainer.jobs.spec import AddTaskJob, LearnJob

    if method is not Method.polytask:
        if through_topics or into or warm_start or reward is Reward.ot:
            fail(f"method {method.value} learns in process from the suite's own reward: give no other way")
        together = LearnJob(
            task=task[0],
            demonstrations="",
            output=str(output),
            suite=suite,
            steps=steps,
            seed=seed,
            settings=str(settings or ""),
            method=method.value,
            with_tasks=tuple(task[1:]),
        )
        [result] = run_all({f"learning {', '.join(task)}": together}).values()
        console.print(f"{method.value} after {result['steps']} steps: {result['message']}", soft_wrap=True)
        return
    if through_topics and parallel > 1:
        fail("one simulator cannot be stepped by several learners: leave out --parallel or --through-topics")
    online = variant is Variant.online
    if online and (into is None or warm_start is not None):
        fail("the online variant teaches the policy itself: give --into, and no --warm-start")
    start = into if online else warm_start
    for policy in filter(None, (into, start)):
        require_unified(policy)
    jobs: dict[str, Job] = {
        f"learning {name}": LearnJob(
            task=name,
            demonstrations=str(demonstrations),
            output=str(output / name),
            suite=suite,
            reward=reward.value if reward else "",
            steps=steps,
            seed=seed,
            settings=str(settings or ""),
            through_topics=through_topics,
            namespace=namespace,
            policy=str(start or ""),
            online=online,
        )
        for name in task
    }
    # Online, each task begins with the policy that has learned the one before.
    for names in [[name] for name in task] if online else [task]:
        chosen = {title: job for title, job in jobs.items() if title.removeprefix("learning ") in names}
        for result in run_all(chosen, parallel).values():
            console.print(f"expert after {result['steps']} steps: {result['output']}", soft_wrap=True)
        for name in names if into else ():
            run_all({f"teaching {name}": AddTaskJob(str(output / name), str(into), seed=seed)})
            console.print(f"{into} knows {name}", soft_wrap=True)


def require_unified(folder: Path) -> None:
    """End the command, before hours of learning, where ``folder`` holds no unified policy."""
    from polytask_policy.checkpoint import CheckpointError, load_checkpoint

    try:
        load_checkpoint(folder, "unified")
    except CheckpointError as error:
        fail(str(error))


def distill(
    experts: Annotated[list[Path], typer.Argument(help="Folders of experts, from `learn`.", show_default=False)],
    output: Annotated[Path, typer.Option(help="Folder for the unified policy.")] = Path("runs/unified"),
    steps: Steps = 0,
    seed: Seed = 0,
    storage: Annotated[
        int, typer.Option(help="Samples that it remembers, of all tasks, to learn more later; 0: all.", min=0)
    ] = 0,
) -> None:
    """Distil experts into one policy that takes words, a picture or a task's name as its goal.

    Stopped at any moment, the same command carries on. Example: `./polytask distill runs/experts/*`
    """
    from polytask_trainer.jobs.spec import DistillJob

    job = DistillJob(experts=tuple(map(str, experts)), output=str(output), steps=steps, seed=seed, storage=storage)
    [result] = run_all({f"distilling {len(experts)} experts": job}).values()
    console.print(f"unified policy after {result['steps']} steps: {output}", soft_wrap=True)


def evaluate(
    checkpoint: Annotated[Path, typer.Argument(help="Folder of an expert or a unified policy.", show_default=False)],
    task: Annotated[
        list[str] | None, typer.Option(help="Task to try; may be given several times. Default: all it was taught.")
    ] = None,
    goal: Annotated[GoalKind, typer.Option(help="How a unified policy is asked; none: the control.")] = GoalKind.task,
    pictures: Annotated[
        Path, typer.Option(help="For --goal image: folder of the experts whose final pictures are shown.")
    ] = Path("runs/experts"),
    episodes: Annotated[int, typer.Option(help="Fresh starts per task.", min=1)] = 25,
    first: Annotated[int, typer.Option(help="Number of the first start.", min=0)] = 0,
    parallel: Annotated[int, typer.Option(help="How many tasks to try at once, a core each.", min=1)] = 1,
    video: Annotated[
        Path | None, typer.Option(help="GIF that shows each task's first start, side by side, with what was asked.")
    ] = None,
) -> None:
    """Try a policy on starts it has never seen, in simulation, and print how often it succeeds.

    The same numbers are the same starts for every policy, so two policies can be compared.
    """
    if video is not None and (video.suffix.lower() != ".gif" or not video.absolute().parent.is_dir()):
        fail(f"{video} cannot be the video: name a .gif file in a folder that is there")
    from polytask_policy.checkpoint import CheckpointError, load_checkpoint
    from polytask_trainer.jobs.spec import EvaluateJob

    try:
        meta = load_checkpoint(checkpoint)[1]
        suite, taught = str(meta["suite"]), [str(name) for name in meta["tasks"]]
    except CheckpointError as error:
        fail(str(error))
    except KeyError as error:
        fail(f"{checkpoint} says nothing of its {error}; is it a policy?")
    jobs: dict[str, Job] = {
        name: EvaluateJob(
            checkpoint=str(checkpoint),
            task=name,
            suite=suite,
            goal=goal.value,
            pictures=str(pictures),
            episodes=episodes,
            first=first,
            actions=video is not None,
        )
        for name in task or taught
    }
    table = Table("task", "success", "95 % interval", "mean length", box=None)
    rates = []
    results = run_all(jobs, parallel)
    for name, result in results.items():
        rates.append(result["success"])
        interval = f"{100 * result['low']:.0f}–{100 * result['high']:.0f} %"
        table.add_row(name, f"{100 * result['success']:.0f} %", interval, f"{result['mean_length']:.0f} steps")
    if len(rates) > 1:
        table.add_row("[bold]mean[/]", f"[bold]{100 * sum(rates) / len(rates):.0f} %[/]", "", "")
    console.print(table)
    if video is not None:
        from polytask_cli.video.evaluation import write_video

        write_video(video, meta, list(results.values()))
        console.print(str(video), soft_wrap=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(rich_help_panel="Learn")(learn)
    app.command(rich_help_panel="Learn")(distill)
    app.command(rich_help_panel="Learn")(evaluate)
