"""`ask`: have the served policy do a task."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from polytask_cli.commands.common import console, errors, fail, reporting

if TYPE_CHECKING:
    from polytask_interfaces.action import ExecuteTask


def ask(
    words: Annotated[str, typer.Argument(help='A sentence, such as "open the drawer".', show_default=False)] = "",
    image: Annotated[
        Path | None, typer.Option(help="A picture of the wanted result (PNG or JPEG), as the robot's camera sees it.")
    ] = None,
    task: Annotated[str, typer.Option(help="The name of a taught task, such as drawer-open.")] = "",
    timeout: Annotated[float, typer.Option(help="Seconds the robot may take; 0: the server's default.", min=0.0)] = 0.0,
    namespace: Annotated[str, typer.Option(help="Namespace of the robot.")] = "",
) -> None:
    """Ask the running policy server for a task: in words, by a picture of the result, or by name.

    Shows how the goal was understood and how far it is. Ctrl-C cancels: the robot stops. The exit status is 0 only when
    the task succeeded. Start a server with `./polytask serve CHECKPOINT` first.
    """
    given = [bool(words), image is not None, bool(task)]
    if sum(given) != 1:
        fail("give one goal: a sentence, --image FILE or --task NAME" + (", not several" if sum(given) else ""), 2)
    for what, text in (("sentence", words), ("task's name", task), ("namespace", namespace)):
        _require_text(what, text)
    from polytask_cli.goal_picture import PictureError, read_picture

    with reporting(PictureError):
        picture = read_picture(image) if image is not None else None

    from polytask_cli.execute_task_client import AskError, goal_message
    from polytask_cli.execute_task_client import ask as send
    from polytask_robot_io.outcomes import Outcome

    with reporting(AskError), console.status("looking for the policy server") as status:

        def show(feedback: ExecuteTask.Feedback) -> None:
            understood = f"{escape(feedback.matched_task)} (similarity {feedback.similarity:.2f})"
            status.update(f"{understood}: step {feedback.step}, {feedback.elapsed:.1f} s — Ctrl-C cancels")

        result = send(goal_message(words, picture, task, timeout), namespace=namespace, on_feedback=show)
    outcome = Outcome(result.outcome)
    succeeded = outcome == Outcome.SUCCEEDED
    understood = f"{escape(result.matched_task)} (similarity {result.similarity:.2f}), " if result.matched_task else ""
    sink = console if succeeded else errors
    sink.print(
        f"[{'green' if succeeded else 'red'}]{outcome.name}[/] {understood}{result.steps} steps, {result.elapsed:.1f} s"
    )
    if result.message:
        sink.print(result.message, markup=False, soft_wrap=True)
    if not succeeded:
        raise typer.Exit(130 if outcome == Outcome.CANCELLED else 1)


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
    """Add the command."""
    app.command(rich_help_panel="Ask")(ask)
