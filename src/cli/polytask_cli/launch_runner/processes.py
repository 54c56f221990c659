"""Processes in groups of their own, started, listened to and ended together."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from polytask_cli.launch_runner.launch_file import NodeProcess
from polytask_cli.launch_runner.parameters import write_parameters
from polytask_cli.launch_runner.substitutions import LaunchError
from polytask_robot_io.starting import end_with_parent

COLOURS = (36, 33, 35, 32, 34, 96, 93, 95)


@dataclass(frozen=True)
class Ended:
    """A process has ended and its output has been read."""

    index: int


@dataclass(frozen=True)
class Asked:
    """A signal asked for the end of everything."""

    number: int


class Supervisor:
    """Runs processes until all have ended, one whose end is the end of all has ended, or a signal comes."""

    def __init__(self, nodes: Sequence[NodeProcess]) -> None:
        self._nodes = list(nodes)
        self._events: queue.SimpleQueue[Ended | Asked] = queue.SimpleQueue()
        self._processes: list[subprocess.Popen[str]] = []
        self._width = max((len(node.label) for node in nodes), default=0)
        self._colour = sys.stdout.isatty()
        self._stopping: float | None = None
        self._failed = False

    def run(self) -> int:
        """Start all, wait for the end.

        Returns:
            0 when every process ended with 0 or by being asked to; 1 when one crashed or had to be killed.

        Raises:
            LaunchError: when one cannot be started; those that could are ended.
        """
        handlers = {
            number: signal.signal(number, self._ask) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        }
        try:
            with tempfile.TemporaryDirectory(prefix="polytask-launch-") as folder:
                try:
                    for index, node in enumerate(self._nodes):
                        self._start(index, node, Path(folder))
                    self._wait()
                finally:
                    self._kill_leftovers()
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
        return 1 if self._failed else 0

    def _ask(self, number: int, frame: object) -> None:
        self._events.put(Asked(number))

    def _start(self, index: int, node: NodeProcess, folder: Path) -> None:
        command = node.command + (["--ros-args", *node.ros_arguments] if node.ros_arguments or node.parameters else [])
        for number, entry in enumerate(node.parameters):
            path = entry if isinstance(entry, Path) else folder / f"{index}_{number}.yaml"
            if not isinstance(entry, Path):
                write_parameters(path, entry)
            command += ["--params-file", str(path)]
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                bufsize=1,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **node.environment},
                start_new_session=True,
                # Should this process be killed, nobody else would stop its nodes.
                preexec_fn=partial(end_with_parent, os.getpid()),
            )
        except OSError as error:
            raise LaunchError(f"cannot start {command[0]}: {error.strerror}") from error
        self._processes.append(process)
        threading.Thread(target=self._listen, args=(index, process), daemon=True).start()

    def _listen(self, index: int, process: subprocess.Popen[str]) -> None:
        """Pass on a process's output, then report its end."""
        reader = threading.Thread(target=self._print_all, args=(index, process), daemon=True)
        reader.start()
        process.wait()
        reader.join(0.5)  # a child that outlives it may keep the pipe open
        self._events.put(Ended(index))

    def _print_all(self, index: int, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with contextlib.suppress(ValueError):
            for line in process.stdout:
                self._say(index, line.rstrip("\n"))

    def _say(self, index: int, text: str) -> None:
        label = self._nodes[index].label
        head = f"[{label}]".ljust(self._width + 2) + " " if label else ""
        if self._colour and label:
            head = f"\033[{COLOURS[index % len(COLOURS)]}m{head}\033[0m"
        with contextlib.suppress(BrokenPipeError):
            sys.stdout.write(f"{head}{text}\n")
            sys.stdout.flush()

    def _wait(self) -> None:
        running = set(range(len(self._processes)))
        escalation: list[tuple[float, int, signal.Signals]] = []
        while running:
            try:
                timeout = max(0.0, escalation[0][0] - time.monotonic()) if escalation else None
                event = self._events.get(timeout=timeout)
            except queue.Empty:
                _, index, number = escalation.pop(0)
                if index in running:
                    self._say(index, f"does not stop; sending {number.name}")
                    self._failed = self._failed or number == signal.SIGKILL
                    self._signal(index, number)
                continue
            if isinstance(event, Ended):
                running.discard(event.index)
                self._report(event.index)
                if not self._nodes[event.index].ends_all:
                    continue
            if self._stopping is None:
                self._stopping = time.monotonic()
                for index in running:
                    self._signal(index, signal.SIGINT)
                    terminate = self._stopping + self._nodes[index].sigterm_timeout
                    escalation.append((terminate, index, signal.SIGTERM))
                    escalation.append((terminate + self._nodes[index].sigkill_timeout, index, signal.SIGKILL))
                escalation.sort()

    def _report(self, index: int) -> None:
        code = self._processes[index].returncode
        if self._stopping is not None:
            return
        self._failed = self._failed or code != 0
        if not self._nodes[index].label:
            return  # launch has said all
        if code == 0:
            self._say(index, "finished")
            return
        how = f"exit status {code}" if code > 0 else f"signal {signal.Signals(-code).name}"
        self._say(index, f"crashed: {how}")

    def _signal(self, index: int, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._processes[index].pid, number)

    def _kill_leftovers(self) -> None:
        """End what the processes left behind in their groups."""
        for index, process in enumerate(self._processes):
            self._signal(index, signal.SIGKILL)
            process.wait()
