"""Options of a demo run: from the command line, its scale, and its seeds."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

STANDARD = "demo"
"""Name of the list, in a suite's file, of the tasks that the demo does."""
QUICK_TASKS = 2
LARGEST_SEED = 89


class DemoError(RuntimeError):
    """The demo cannot run; says what is wrong and what to do."""


@dataclass(frozen=True)
class Scale:
    """How much is done. Everything here is written to results.json."""

    control_demonstrations: int = 5
    """Demonstrations for the cloning control BC-5; experts and BC-1 use the first one only."""
    expert_starts: int = 40
    """Unseen starts on which each expert and each cloned policy is evaluated."""
    ask_starts: int = 25
    """Unseen starts per task and goal kind, and per task for the control without a goal."""
    heldout_sentences: int = 8
    """Sentences per task that were never trained on, at most (as many as the file has)."""
    heldout_starts: int = 25
    """Starts per task over which those sentences are spread."""
    other_starts: int = 5
    """Starts of each task from which every other task is asked for."""
    timing_seconds: float = 35.0
    """Real-time control with a camera subscribed, in seconds of control."""
    lockstep_episodes: int = 60
    """Episodes on which lock-step through ROS and stepping in process are compared."""
    learn_steps: int = 0
    """Agent steps per expert; 0: the trainer's configuration."""
    distill_steps: int = 0
    """Gradient steps of the distillation; 0: the trainer's configuration."""


QUICK = Scale(
    control_demonstrations=2,
    expert_starts=12,
    ask_starts=8,
    heldout_sentences=5,
    heldout_starts=10,
    other_starts=4,
    timing_seconds=12.0,
    lockstep_episodes=30,
    distill_steps=2000,
)


@dataclass(frozen=True)
class Seeds:
    """Start seeds, all apart: demonstrations below 10,000; everything that is judged in a block of 10,000 of its own.

    Training draws from 1,000,000 on (``polytask_trainer.rollouts.evaluate``).
    """

    run: int

    @property
    def demonstrations(self) -> int:
        """First start of the demonstrations, the same for every task; the control's follow it."""
        return 100 * self.run

    @property
    def _block(self) -> int:
        return 10_000 * (1 + self.run)

    def evaluation(self, count: int) -> range:
        """Starts of experts and cloned policies, the same for all of them."""
        return range(self._block, self._block + count)

    def ask(self, task: int, count: int) -> range:
        """Starts that belong to task number ``task`` when the served policy is asked."""
        first = self._block + 2000 + 100 * task
        return range(first, first + count)

    def picture(self, task: int) -> int:
        """First start of the goal pictures of task number ``task``; a hundred are reserved."""
        return self._block + 5000 + 100 * task

    def timing(self, count: int) -> range:
        """Starts of the timing measurements."""
        return range(self._block + 9000, self._block + 9000 + count)


@dataclass(frozen=True)
class DemoOptions:
    """Options of ``./polytask demo``."""

    suite: str = "tabletop"
    tasks: tuple[str, ...] = ()
    """Empty: the suite's list for the demo, two of them with ``quick``."""
    quick: bool = False
    output: Path | None = None
    """None: ``runs/demo-...``, named after the other options."""
    seed: int = 0
    scale: Scale | None = None
    """None: that of the full or of the quick demo."""

    def resolved(self) -> Demo:
        """Fill in what was left out, and check it. Raises DemoError."""
        from polytask_suites import SuiteError, load_suite

        try:
            config = load_suite(self.suite)
        except SuiteError as error:
            raise DemoError(str(error)) from error
        known, tasks = config.tasks, self.tasks or config.lists.get(STANDARD)
        if tasks is None:
            raise DemoError(f"suite {self.suite} has no standard tasks; name some with --tasks: {', '.join(known)}")
        if self.quick:
            # Of the standard list the first and the third: opening and closing a drawer look much alike.
            tasks = tasks[:QUICK_TASKS] if self.tasks else tasks[::2][:QUICK_TASKS]
        unknown = [task for task in tasks if task not in known]
        if unknown:
            raise DemoError(f"suite {self.suite} has no task {', '.join(unknown)}; it has: {', '.join(known)}")
        if len(set(tasks)) != len(tasks):
            raise DemoError(f"a task is named twice in {', '.join(tasks)}")
        if len(tasks) < 2:
            raise DemoError("the demo needs at least two tasks: with one, no goal has to be understood")
        if len(tasks) > 20:
            raise DemoError(f"{len(tasks)} tasks; the demo takes at most 20")
        if not 0 <= self.seed <= LARGEST_SEED:
            raise DemoError(f"--seed {self.seed}: must be from 0 to {LARGEST_SEED} (each has its own block of starts)")
        output = self.output or Path("runs") / self._folder()
        scale = self.scale or (QUICK if self.quick else Scale())
        return Demo(self.suite, tuple(tasks), self.quick, output.resolve(), self.seed, scale)

    def _folder(self) -> str:
        parts = ["demo", self.suite, *(["quick"] if self.quick else []), *([f"seed{self.seed}"] if self.seed else [])]
        return "-".join(parts)


@dataclass(frozen=True)
class Demo:
    """A demo run with everything decided."""

    suite: str
    tasks: tuple[str, ...]
    quick: bool
    output: Path
    seed: int
    scale: Scale
    seeds: Seeds = field(init=False)

    def __post_init__(self) -> None:
        """Derive the seeds."""
        object.__setattr__(self, "seeds", Seeds(self.seed))

    @property
    def demonstrations(self) -> Path:
        """Folder of the recorded demonstrations, one per task."""
        return self.output / "demonstrations"

    @property
    def goal_pictures(self) -> Path:
        """Folder of goal pictures that were never trained on, TASK/SEED.png."""
        return self.output / "goal_pictures"

    @property
    def controls(self) -> Path:
        """Folder of the further demonstrations, for the cloning control only."""
        return self.output / "control_demonstrations"

    def expert(self, task: str) -> Path:
        """Run folder of the expert of ``task``."""
        return self.output / "experts" / task

    @property
    def unified(self) -> Path:
        """Folder of the unified policy."""
        return self.output / "unified"

    def settings(self) -> dict[str, Any]:
        """What decides the results: two runs with equal settings do the same."""
        return {
            "suite": self.suite,
            "tasks": list(self.tasks),
            "quick": self.quick,
            "seed": self.seed,
            "scale": asdict(self.scale),
        }
