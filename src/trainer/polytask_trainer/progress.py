"""What a training writes down as it goes: progress.jsonl, TensorBoard, and the caller's callback."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

from polytask_policy.checkpoint import write_atomically
from polytask_trainer.training_state import Counters


class ProgressLog:
    """One line of JSON per training episode; resuming drops the lines of episodes that are run again."""

    def __init__(self, folder: Path, total_steps: int, on_progress: Callable[[dict[str, Any]], None] | None) -> None:
        self._folder, self._total, self._callback = folder, total_steps, on_progress
        self._file: IO[str] | None = None
        self._board: Any = None

    def phase(self, name: str, counters: Counters) -> None:
        """Tell the caller that a phase without episodes of its own begins."""
        self._tell(name, counters, None)

    def resume(self, counters: Counters) -> None:
        """Open the log, cut back to what ``counters`` has seen."""
        from torch.utils.tensorboard import SummaryWriter  # slow to import

        path = self._folder / "progress.jsonl"
        self._folder.mkdir(parents=True, exist_ok=True)
        lines = path.read_text().splitlines(keepends=True) if path.exists() else []
        write_atomically(path, "".join(lines[: counters.episode]).encode())
        self._file = path.open("a", buffering=1)
        self._board = SummaryWriter(str(self._folder / "log"), purge_step=counters.step)  # type: ignore[no-untyped-call]

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
        if self._file is None:
            raise RuntimeError("resume() must be called before episode()")
        line = {
            "phase": phase,
            "episode": counters.episode,
            "step": counters.step,
            "seconds": round(counters.seconds, 2),
            "episode_reward": round(reward, 4),
            "success": success,
            **{name: round(value, 3) for name, value in speeds.items()},
        }
        self._file.write(json.dumps(line) + "\n")
        for name, value in {"episode_reward": reward, "success": float(success), **losses, **speeds}.items():
            self._board.add_scalar(f"train/{name}", value, counters.step)
        self._tell(phase, counters, reward, speeds)

    def close(self) -> None:
        """Flush and close the files."""
        if self._file is not None:
            self._file.close()
            self._board.close()

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
