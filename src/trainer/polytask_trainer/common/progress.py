"""Progress of a training: progress.jsonl, TensorBoard, and the caller's callback."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from polytask_policy.checkpoint import write_atomically

LOG = "progress.jsonl"


@dataclasses.dataclass
class Counters:
    """How far and how well a training is; ``seconds`` is its time over all of its sessions."""

    step: int = 0
    episode: int = 0
    updates: int = 0
    seconds: float = 0.0
    recent: list[float] = dataclasses.field(default_factory=list)
    """Sums of rewards of the last episodes."""
    best: float | None = None
    """The highest mean of these so far."""
    pending_updates: int = 0
    """Gradient updates still to be made for the last episode; its steps, sum of rewards and success follow."""
    length: int = 0
    reward: float = 0.0
    success: bool = False

    def before_last(self) -> Counters:
        """As they were before the last episode, but for the time."""
        return dataclasses.replace(self, step=self.step - self.length, episode=self.episode - 1)


def cut_back(path: Path, step: int) -> dict[str, Any]:
    """Drop the lines of a log after ``step``, which a resumed run writes again; return the last that is left, or {}."""
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    kept = [line for line in lines if line.endswith("}\n") and json.loads(line)["step"] <= step]
    write_atomically(path, "".join(kept).encode())
    last: dict[str, Any] = json.loads(kept[-1]) if kept else {}
    return last


class ProgressLog:
    """One line of JSON per training episode; resuming drops the lines of episodes that are run again."""

    def __init__(self, folder: Path, total_steps: int, on_progress: Callable[[dict[str, Any]], None] | None) -> None:
        self._folder, self._total, self._callback = folder, total_steps, on_progress
        self.device = ""
        """What computes, where that is not always the CPU."""
        self._file: IO[str] | None = None
        self._last: dict[str, Any] = {}
        self._board: Any = None

    def phase(self, name: str, counters: Counters) -> None:
        """Tell the caller that a phase without episodes of its own begins."""
        self._tell(name, counters, None)

    def resume(self, counters: Counters) -> None:
        """Open the log, cut back to what ``counters`` has seen."""
        from torch.utils.tensorboard import SummaryWriter  # slow to import

        path = self._folder / LOG
        self._folder.mkdir(parents=True, exist_ok=True)
        self._last = cut_back(path, counters.step)
        self._file = path.open("a", buffering=1)
        purge = counters.step + 1  # from there on
        self._board = SummaryWriter(str(self._folder / "log"), purge_step=purge)

    def episode(
        self,
        phase: str,
        counters: Counters,
        reward: float,
        success: bool,
        losses: Mapping[str, float],
        speeds: Mapping[str, float],
    ) -> None:
        """Write down an episode; ``success`` is for people only. The caller gets ``speeds`` too."""
        line = {
            "episode_reward": round(reward, 4),
            "success": success,
            **{name: round(value, 3) for name, value in speeds.items()},
        }
        curves = {"episode_reward": reward, "success": float(success), **losses, **speeds}
        self._write(phase, counters, line, {f"train/{name}": value for name, value in curves.items()})
        self._tell(phase, counters, reward, speeds)

    def close(self) -> None:
        """Flush and close the files."""
        if self._file is not None:
            self._file.close()
            self._board.close()

    def _write(self, phase: str, counters: Counters, line: Mapping[str, Any], curves: Mapping[str, float]) -> None:
        if self._file is None:
            raise RuntimeError("resume() must be called before anything is written down")
        where = {"phase": phase, "episode": counters.episode, "step": counters.step}
        what = {"seconds": round(counters.seconds, 2), **line, **({"device": self.device} if self.device else {})}
        self._file.write(json.dumps({**where, **what}) + "\n")
        for name, value in curves.items():
            self._board.add_scalar(name, value, counters.step)

    def _tell(
        self, phase: str, counters: Counters, reward: float | None, speeds: Mapping[str, float] | None = None
    ) -> None:
        if self._callback is not None:
            self._callback(
                {
                    "phase": phase,
                    "step": counters.step,
                    "total_steps": self._total,
                    "episode_reward": reward,
                    "elapsed": counters.seconds,
                    **(speeds or {}),
                }
            )


class TasksLog(ProgressLog):
    """The same of several tasks that are learned together: one line for all episodes that ended since the last one."""

    def __init__(
        self,
        folder: Path,
        phase: str,
        steps: tuple[int, int],
        counted: Sequence[str],
        on_progress: Callable[[dict[str, Any]], None] | None,
    ) -> None:
        """Carry on at the first of ``steps``, of as many as the second says.

        ``counted``: the tasks of whose episodes ``episode_reward`` and ``success`` are means.
        """
        super().__init__(folder, steps[1], on_progress)
        self._phase, self._counted = phase, counted
        self._counters = Counters(steps[0])
        self.resume(self._counters)
        self._counters.episode = self._last.get("episode", 0)
        self._began = time.monotonic() - self._last.get("seconds", 0.0)

    def update(self, step: int, ended: Mapping[str, tuple[int, int, float]], measured: Mapping[str, float]) -> None:
        """Write down what ``ended``: by task the number of episodes, of successes, and the sum of returns."""
        own = [ended[task] for task in self._counted if task in ended]
        count, successes, total = (sum(entry[i] for entry in own) for i in range(3))
        means = {"episode_reward": total / count, "success": successes / count} if count else {}
        self._counters.step = step
        self._counters.episode += sum(entry[0] for entry in ended.values())
        self._counters.seconds = time.monotonic() - self._began
        curves = {f"train/{name}": value for name, value in {**means, **measured}.items()}
        for task, (number, succeeded, returns) in ended.items():
            curves |= {f"{task}/episode_reward": returns / number, f"{task}/success": succeeded / number}
        line = {
            **{name: round(means[name], 4) if means else None for name in ("episode_reward", "success")},
            "ended": {task: (number, done, round(returns, 3)) for task, (number, done, returns) in ended.items()},
            **{name: round(value, 5) for name, value in measured.items()},
        }
        self._write(self._phase, self._counters, line, curves)
        self._tell(self._phase, self._counters, means.get("episode_reward"))
