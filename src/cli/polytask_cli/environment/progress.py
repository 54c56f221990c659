"""Numbered steps with a clock, on terminals and in logs."""

from __future__ import annotations

import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from .layout import SetupError

HEARTBEAT = 20.0  # s between lines where output is not a terminal


class Step:
    """One step of set-up: says that it began, how far it is, and that it ended, in one line on a terminal."""

    def __init__(self, number: int, total: int, title: str) -> None:
        self._head = f"[{number}/{total}] {title}"
        self._began = time.monotonic()
        self._terminal = sys.stderr.isatty()
        self._spoken = self._began
        self._detail = ""
        self._show("…", final=not self._terminal)

    def update(self, detail: str = "") -> None:
        """Show how far the step is; call it at least once a second while something is going on."""
        self._detail = detail or self._detail
        now = time.monotonic()
        if self._terminal or now - self._spoken >= HEARTBEAT:
            self._spoken = now
            self._show(f"{self._detail}, {now - self._began:.0f} s".removeprefix(", "), final=not self._terminal)

    def say(self, text: str) -> None:
        """Say something that stays on the screen."""
        self._show(text, final=True)

    def __enter__(self) -> Step:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if kind is None:
            self._show(f"done ({time.monotonic() - self._began:.0f} s)", final=True)
        elif self._terminal:
            print(file=sys.stderr)  # so that the error does not run into this line

    def _show(self, text: str, *, final: bool) -> None:
        line = f"{self._head}: {text}"
        if self._terminal:
            line = "\r\033[K" + line[: max(20, shutil.get_terminal_size().columns - 1)]
        print(line, end="\n" if final else "", file=sys.stderr, flush=True)


def run(
    command: Sequence[str],
    step: Step,
    log: Path,
    *,
    cwd: Path | None = None,
    describe: Callable[[str], str | None] = lambda line: None,
    env: Mapping[str, str] | None = None,
    keep_open: Sequence[int] = (),
) -> None:
    """Run a command, its output into `log`, its progress onto `step`.

    Args:
        cwd: folder to run it in; this process's own by default.
        describe: turns a line of output into a few words of progress, or None.
        keep_open: file descriptors the command inherits (the set-up lock, which must outlive a killed set-up as long as
            one of its commands is still writing).

    Raises:
        SetupError: with the last lines of output, when the command fails.
    """
    tail: deque[str] = deque(maxlen=200)
    with log.open("w") as record:
        record.write("$ " + " ".join(command) + "\n")
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            cwd=cwd,
            env=dict(env) if env is not None else None,
            pass_fds=keep_open,
            start_new_session=True,
        )
        try:
            for line in _lines(process.stdout, step):
                record.write(line)
                tail.append(line.rstrip())
                words = describe(line)
                if words:
                    step.update(words)
            code = process.wait()
        except BaseException:
            _end(process)
            raise
    if code < 0:
        name = signal.Signals(-code).name
        raise SetupError(f"`{' '.join(command[:4])} …` was ended by {name}; the same command carries on from here")
    if code != 0:
        raise CommandFailed(command, code, list(tail), log)


class CommandFailed(SetupError):
    """A command of set-up failed; `output` holds its last lines."""

    def __init__(self, command: Sequence[str], code: int, output: list[str], log: Path) -> None:
        self.output = output
        super().__init__(f"`{' '.join(command[:6])} …` failed with status {code}; all its output: {log}")


def _lines(stream: IO[str] | None, step: Step) -> Iterator[str]:
    """Lines of a stream, ticking the step's clock while there are none."""
    assert stream is not None
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def read() -> None:
        for line in stream:
            lines.put(line)
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    while True:
        try:
            line = lines.get(timeout=1.0)
        except queue.Empty:
            step.update()
            continue
        if line is None:
            return
        yield line


def _end(process: subprocess.Popen[str]) -> None:
    """Stop a command with everything it started."""
    for number, patience in ((signal.SIGINT, 3.0), (signal.SIGKILL, 3.0)):
        try:
            os.killpg(process.pid, number)
            process.wait(patience)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue
        else:
            return
