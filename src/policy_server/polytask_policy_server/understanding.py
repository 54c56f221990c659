"""Understanding goals off the control thread: encoding a sentence or a picture takes 10 to 20 ms."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import TYPE_CHECKING

from polytask_policy_server.goals import Request

if TYPE_CHECKING:
    from polytask_policy.goals import Goal
    from polytask_policy.text import TextEncoder
    from polytask_policy.unified import UnifiedPolicy

Answer = Callable[["Goal | None", "Exception | None"], None]


class Understanding:
    """Turns requests into goals in background threads.

    Sentences have a thread of their own, which loads the language model first: sentences that come before it is ready
    wait for it, while pictures and task names do not.
    """

    def __init__(self, text: TextEncoder) -> None:
        """Start loading the language model, which all policies share."""
        self._text = text
        self._words: SimpleQueue[tuple[Request, UnifiedPolicy, Answer]] = SimpleQueue()
        self._others: SimpleQueue[tuple[Request, UnifiedPolicy, Answer]] = SimpleQueue()
        self._ready = threading.Event()
        # Daemons: a model that is still loading must not hold up the end of the program.
        threading.Thread(target=self._serve_words, name="words", daemon=True).start()
        threading.Thread(target=self._serve, args=(self._others,), name="pictures", daemon=True).start()

    @property
    def loading(self) -> bool:
        """Whether the language model is still being loaded."""
        return not self._ready.is_set()

    def understand(self, request: Request, policy: UnifiedPolicy, answer: Answer) -> None:
        """Have ``policy`` understand a request.

        ``answer(goal, None)`` or ``answer(None, error)`` is called in a background thread.
        """
        (self._words if request.kind == "words" else self._others).put((request, policy, answer))

    def _serve_words(self) -> None:
        self._text.preload().join()
        self._ready.set()
        self._serve(self._words)

    def _serve(self, requests: SimpleQueue[tuple[Request, UnifiedPolicy, Answer]]) -> None:
        while True:
            request, policy, answer = requests.get()
            try:
                goal = request.understand(policy)
            except Exception as error:  # whatever it is, it is this goal's, and the server goes on
                answer(None, error)
            else:
                answer(goal, None)
