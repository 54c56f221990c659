"""Goals are encoded off the control thread: a sentence or a picture takes 10 to 20 ms."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING

from polytask_policy.text import TextModelError
from polytask_policy_server.goal_request import BadGoal, RequestedGoal, TaskGoal, WordsGoal
from polytask_robot_io.errors import BadMessage
from polytask_robot_io.images import to_array

if TYPE_CHECKING:
    from polytask_policy.goals import Goal
    from polytask_policy.text import TextEncoder
    from polytask_policy.unified import UnifiedPolicy

OnEncoded = Callable[["Goal | None", "Exception | None"], None]
_Waiting = dict[Hashable, tuple[RequestedGoal, "UnifiedPolicy", OnEncoded]]

LOOK = 1.0
"""s between two looks at whether the language model is still there, while nobody asks in words."""


def encode(policy: UnifiedPolicy, goal: RequestedGoal) -> Goal:
    """Turn a goal that was asked for into one of the policy's goal space; may take tens of milliseconds.

    Raises:
        UnknownGoal: it resembles nothing that the policy was taught.
        BadGoal: a picture that cannot be decoded.
        TextModelError: the language model does not answer.
    """
    if isinstance(goal, WordsGoal):
        return policy.goal_from_words(goal.words)
    if isinstance(goal, TaskGoal):
        return policy.goal_from_task(goal.task)
    try:
        picture = to_array(goal.image)
    except BadMessage as error:
        raise BadGoal(f"the goal's picture cannot be used: {error}") from error
    return policy.goal_from_image(picture)


class GoalEncoding:
    """Encodes goals in background threads.

    Sentences have a thread of their own, which loads the language model first: sentences that come before it is ready
    wait for it, while pictures and task names do not. A model that is lost is loaded anew at once; one that cannot be
    loaded is tried again when somebody asks in words.
    """

    def __init__(self, text: TextEncoder, on_fault: Callable[[str], None] = lambda _: None) -> None:
        """Start loading the language model, which all policies share.

        ``on_fault`` is told in a background thread why it was lost, or cannot be loaded. How long loading and a
        sentence may take is the encoder's matter.
        """
        self._text, self._on_fault = text, on_fault
        self._changed = threading.Condition()
        self._words: _Waiting = {}
        self._others: _Waiting = {}
        self.loading = True
        """Whether the language model is being loaded."""
        self.fault = ""
        """Why it could not be; empty where it could."""
        # Daemons: a model that is still loading must not hold up the end of the program.
        threading.Thread(target=self._serve_words, name="words", daemon=True).start()
        threading.Thread(target=self._serve_others, name="pictures", daemon=True).start()

    def submit(self, key: Hashable, goal: RequestedGoal, policy: UnifiedPolicy, on_encoded: OnEncoded) -> None:
        """Have ``policy`` encode a goal; those of a kind are taken in the order in which they come.

        ``on_encoded(goal, None)`` or ``on_encoded(None, error)`` is called in a background thread.
        """
        with self._changed:
            (self._words if isinstance(goal, WordsGoal) else self._others)[key] = (goal, policy, on_encoded)
            self._changed.notify_all()

    def forget(self, key: Hashable) -> None:
        """Nobody waits for that request any more; nothing is done about it, unless it has begun."""
        with self._changed:
            self._words.pop(key, None)
            self._others.pop(key, None)

    def _serve_words(self) -> None:
        while True:
            self.loading = True
            try:
                self._text.encode(["warm up"])
                self.fault = ""
            except Exception as error:  # the library raises whatever its parts raise
                self.fault = str(error)
            self.loading = False
            if self.fault:
                self._on_fault(self.fault)
                while self._next(self._words, TextModelError(self.fault)):
                    pass
                self._wait(self._words, None)
                continue
            while self._text.alive:
                self._wait(self._words, LOOK)
                self._next(self._words)
            self._on_fault("the process with the language model is gone; it is started anew")

    def _serve_others(self) -> None:
        while True:
            self._wait(self._others, None)
            self._next(self._others)

    def _wait(self, waiting: _Waiting, seconds: float | None) -> None:
        with self._changed:
            self._changed.wait_for(lambda: waiting, seconds)

    def _next(self, waiting: _Waiting, refused: Exception | None = None) -> bool:
        """Answer the first of those that wait, with ``refused`` where that is given; False where nobody waits."""
        with self._changed:
            if not waiting:
                return False
            asked, policy, on_encoded = waiting.pop(next(iter(waiting)))
        try:
            if refused is not None:
                raise refused
            goal = encode(policy, asked)
        except Exception as error:  # whatever it is, it is this goal's, and the server goes on
            on_encoded(None, error)
        else:
            on_encoded(goal, None)
        return True
