"""`learn`, `distill` and `evaluate`: the trainer's jobs from the command line."""

from __future__ import annotations

import queue
import signal
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from polytask_bringup.commands.common import console, errors, fail

if TYPE_CHECKING:
    from polytask_trainer.jobs import Job
    from polytask_trainer.worker import Ending


class Reward(str, Enum):
    """Where the reward of reinforcement learning comes from."""

    ot = "ot"
    environment = "environment"


class GoalKind(str, Enum):
    """How a unified policy is asked."""

    task = "task"
    words = "words"
    image = "image"
    none = "none"


Steps = Annotated[int, typer.Option(help="Steps to train; 0: as many as the settings say.", min=0)]
Seed = Annotated[int, typer.Option(help="Seed; the same seed gives the same result.", min=0)]


def run_job(job: Job, title: str) -> dict[str, Any]:
    """Run a job of the trainer in a process of its own, with a progress bar; gives its result.

    Ctrl-C or SIGTERM has the job save its state and ends the command with status 130. A job that was refused or failed
    ends it with status 1.
    """
    from polytask_trainer.worker import Worker

    messages: queue.SimpleQueue[dict[str, Any] | Ending | None] = queue.SimpleQueue()
    worker = Worker(job, messages.put, messages.put)
    handlers = {n: signal.signal(n, lambda *_: messages.put(None)) for n in (signal.SIGINT, signal.SIGTERM)}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    try:
        with Progress(*columns, TimeRemainingColumn(), console=console) as progress:
            bar = progress.add_task(title, total=None)
            while True:
                message = messages.get()
                if message is None:
                    progress.update(bar, description=f"{title}: saving")
                    worker.stop()
                elif isinstance(message, dict):
                    text = ", ".join([title, *describe(message)])
                    progress.update(bar, completed=message["step"], total=message["total_steps"], description=text)
                else:
                    break
    finally:
        worker.stop()
        for number, handler in handlers.items():
            signal.signal(number, handler)
    if message.how == "stopped":
        errors.print("stopped; the same command carries on from the last checkpoint")
        raise typer.Exit(130)
    if message.how != "finished":
        errors.print("[bold red]polytask:[/] ", end="")
        errors.print(message.message, markup=False, soft_wrap=True)
        raise typer.Exit(1)
    return message.result


def describe(report: dict[str, Any]) -> list[str]:
    """What a progress report says beside the step."""
    words = []
    if report.get("phase"):
        words.append(str(report["phase"]))
    if report.get("episode_reward") is not None:
        words.append(f"reward {report['episode_reward']:.1f}")
    if report.get("loss") is not None:
        words.append(f"loss {report['loss']:.4f}")
    return words


def learn(
    task: Annotated[str, typer.Argument(help="Task to learn, such as drawer-open.", show_default=False)],
    demonstrations: Annotated[
        Path, typer.Option(help="Folder of recordings; those of other tasks in it are passed over.")
    ] = Path("data/demonstrations"),
    output: Annotated[Path | None, typer.Option(help="Run folder. Default: runs/experts/TASK.")] = None,
    suite: Annotated[str, typer.Option(help="Suite of the task: tabletop or metaworld.")] = "tabletop",
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
        bool, typer.Option("--through-topics", help="Step a simulator that runs at pace service; see `up train`.")
    ] = False,
    namespace: Annotated[str, typer.Option(help="Namespace of that simulator.")] = "",
) -> None:
    """Learn an expert for one task from its demonstrations, by imitation and then reinforcement.

    The reward is likeness to the demonstration; the environment's is not looked at. Stopped at any moment, also by
    kill -9, the same command carries on from the last checkpoint. Curves: `tensorboard --logdir runs`.
    """
    from polytask_trainer.jobs import LearnJob

    folder = output or Path("runs/experts") / task
    job = LearnJob(
        task=task,
        demonstrations=str(demonstrations),
        output=str(folder),
        suite=suite,
        reward=reward.value if reward else "",
        steps=steps,
        seed=seed,
        settings=str(settings or ""),
        through_topics=through_topics,
        namespace=namespace,
    )
    result = run_job(job, f"learning {task}")
    console.print(f"expert of {task} after {result['steps']} steps: {folder}", soft_wrap=True)


def distill(
    experts: Annotated[list[Path], typer.Argument(help="Folders of experts, from `learn`.", show_default=False)],
    output: Annotated[Path, typer.Option(help="Folder for the unified policy.")] = Path("runs/unified"),
    steps: Steps = 0,
    seed: Seed = 0,
) -> None:
    """Distil experts into one policy that takes words, a picture or a task's name as its goal.

    Stopped at any moment, the same command carries on. Example: `./polytask distill runs/experts/*`
    """
    from polytask_trainer.jobs import DistillJob

    job = DistillJob(experts=tuple(map(str, experts)), output=str(output), steps=steps, seed=seed)
    result = run_job(job, f"distilling {len(experts)} experts")
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
) -> None:
    """Try a policy on starts it has never seen, in simulation, and print how often it succeeds.

    The same numbers are the same starts for every policy, so two policies can be compared.
    """
    from polytask_policy.checkpoint import CheckpointError, load_checkpoint
    from polytask_trainer.jobs import EvaluateJob

    try:
        meta = load_checkpoint(checkpoint)[1]
        suite, taught = str(meta["suite"]), [str(name) for name in meta["tasks"]]
    except CheckpointError as error:
        fail(str(error))
    except KeyError as error:
        fail(f"{checkpoint} says nothing of its {error}; is it a policy?")
    table = Table("task", "success", "95 % interval", "mean length", box=None)
    rates = []
    for name in task or taught:
        job = EvaluateJob(
            checkpoint=str(checkpoint),
            task=name,
            suite=suite,
            goal=goal.value,
            pictures=str(pictures),
            episodes=episodes,
            first=first,
        )
        result = run_job(job, name)
        rates.append(result["success"])
        interval = f"{100 * result['low']:.0f}–{100 * result['high']:.0f} %"
        table.add_row(name, f"{100 * result['success']:.0f} %", interval, f"{result['mean_length']:.0f} steps")
    if len(rates) > 1:
        table.add_row("[bold]mean[/]", f"[bold]{100 * sum(rates) / len(rates):.0f} %[/]", "", "")
    console.print(table)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(rich_help_panel="Learn")(learn)
    app.command(rich_help_panel="Learn")(distill)
    app.command(rich_help_panel="Learn")(evaluate)
