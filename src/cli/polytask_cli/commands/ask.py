"""`ask`: have the served policy do a task, or several; `reset`: put the simulated world back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from polytask_cli.commands.common import console, errors, fail, reporting

if TYPE_CHECKING:
    from polytask_interfaces.action import ExecuteTask


def ask(
    sentences: Annotated[
        list[str] | None,
        typer.Argument(
            help='A sentence, such as "open the drawer"; several are done in their order.', show_default=False
        ),
    ] = None,
    image: Annotated[
        Path | None, typer.Option(help="A picture of the wanted result (PNG or JPEG), as the robot's camera sees it.")
    ] = None,
    task: Annotated[str, typer.Option(help="The name of a taught task, such as drawer-open.")] = "",
    timeout: Annotated[
        float, typer.Option(help="Seconds the robot may take for each goal; 0: the server's default.", min=0.0)
    ] = 0.0,
    namespace: Annotated[str, typer.Option(help="Namespace of the robot.")] = "",
) -> None:
    """Ask the running policy server for a task: in words, by a picture of the result, or by name.

    Shows how each goal was understood and how far it is. Ctrl-C cancels: the robot stops. The exit status is 0 only
    when all succeeded; after one that did not, no further one is asked for. Start a server with
    `./polytask serve CHECKPOINT` first.
    """
    sentences = sentences or []
    given = [bool(sentences) and all(sentences), image is not None, bool(task)]
    if sum(given) != 1:
        fail(f"give {'one kind of' if any(given) else 'a'} goal: sentences, --image FILE or --task NAME", 2)
    for what, text in (*(("sentence", one) for one in sentences), ("task's name", task), ("namespace", namespace)):
        _require_text(what, text)
    from polytask_cli.goal_picture import PictureError, read_picture

    with reporting(PictureError):
        picture = read_picture(image) if image is not None else None

    from polytask_cli.execute_task_client import AskError, goal_message
    from polytask_cli.execute_task_client import ask as send

    goals = [goal_message(one, None, "", timeout) for one in sentences] or [goal_message("", picture, task, timeout)]
    for number, goal in enumerate(goals, 1):
        counted = f"{number} of {len(goals)}: " if len(goals) > 1 else ""
        with reporting(AskError), console.status(f"{counted}waiting for the policy server") as status:

            def show(feedback: ExecuteTask.Feedback, counted: str = counted, status: Any = status) -> None:
                understood = f"{escape(feedback.matched_task)} (similarity {feedback.similarity:.2f})"
                status.update(f"{counted}{understood}: step {feedback.step}, {feedback.elapsed:.1f} s — Ctrl-C cancels")

            result = send(goal, namespace=namespace, on_feedback=show)
        _tell(result, counted)


def _tell(result: ExecuteTask.Result, counted: str) -> None:
    """Print how a goal ended; ends the command where it did not succeed."""
    from polytask_robot_io.outcomes import Outcome

    outcome = Outcome(result.outcome)
    succeeded = outcome == Outcome.SUCCEEDED
    understood = f"{escape(result.matched_task)} (similarity {result.similarity:.2f}), " if result.matched_task else ""
    sink = console if succeeded else errors
    sink.print(
        f"{counted}[{'green' if succeeded else 'red'}]{outcome.name}[/] {understood}{result.steps} steps, "
        f"{result.elapsed:.1f} s"
    )
    if result.message:
        sink.print(result.message, markup=False, soft_wrap=True)
    if not succeeded:
        raise typer.Exit(130 if outcome == Outcome.CANCELLED else 1)


def reset(
    seed: Annotated[int, typer.Option(help="Seed of the start state; -1: one that the simulator draws.", min=-1)] = -1,
    task: Annotated[
        str, typer.Option(help="A task to judge the episode by, with its time limit; empty: none, the world goes on.")
    ] = "",
    namespace: Annotated[str, typer.Option(help="Namespace of the robot.")] = "",
) -> None:
    """Put the simulated world back to a start. A real robot has nobody who could; there, tidy up by hand."""
    from polytask_cli.reset_client import ResetError
    from polytask_cli.reset_client import reset as send

    with reporting(ResetError), console.status("waiting for the simulation"):
        status = send(task, seed, namespace)
    console.print(f"{status.episode_id}: start {status.seed}", highlight=False)


def _require_text(what: str, text: str) -> None:
    """End the command for text that is not UTF-8, as a terminal with another encoding gives it."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        byte = ord(text[error.start]) - 0xDC00  # as Python keeps a byte that it cannot read
        fail(
            f"the {what} is not UTF-8 text (byte 0x{byte:02x} after {error.start} characters): has the terminal "
            "another encoding?",
            2,
        )


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(rich_help_panel="Ask")(ask)
    app.command(rich_help_panel="Ask")(reset)
