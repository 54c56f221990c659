"""A run: a piece of an experiment, known by what it does, its exact configuration and its seed."""

from __future__ import annotations

import functools
import hashlib
import json
import pkgutil
import platform
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from polytask_policy.checkpoint import write_atomically
from polytask_trainer.common.settings import ConfigError
from polytask_trainer.experiments import FORMER_MODULES

PACKAGES = (
    "polytask_trainer",
    "torch",
    "numpy",
    "scipy",
    "mujoco",
    "gymnasium",
    "gymnasium-robotics",
    "metaworld",
    "dm_control",
    "sentence-transformers",
    "POT",
    "rliable",
)
DOCUMENT = "result.json"


class Stopped(Exception):
    """A run was told to stop; the same run carries on from what it kept."""


@dataclass(frozen=True)
class Run:
    """One run.

    Attributes:
        title: for people and file names; unique within an experiment for one seed.
        target: function that does it, as "module:function"; it is called with a :class:`Context`.
        config: JSON-able, everything that decides on the result; what is None is off, and left out.
        seed: of everything random in it.
        needs: runs whose folders and results it uses.
        defaults: of the configuration's entries, nested as they are. An entry at its default does not count in the
            digest, so that a setting that is added later does not make all runs new.

    """

    title: str
    target: str
    config: Mapping[str, Any]
    seed: int
    needs: tuple[Run, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)

    @functools.cached_property
    def digest(self) -> str:
        """Equal for runs that do the same, also in different experiments."""
        settings = _beyond(_plain(self.config), _plain(self.defaults))
        module, function = self.target.split(":")
        target = f"{FORMER_MODULES.get(module, module)}:{function}"
        text = json.dumps([target, settings, self.seed, [need.digest for need in self.needs]], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def slug(self) -> str:
        """Its title and seed as a file name."""
        return slug(self.title, self.seed)

    @property
    def name(self) -> str:
        """Name of its folder."""
        return f"{self.slug}-{self.digest}"

    def differing(self, made: Mapping[str, Any]) -> list[str]:
        """Entries in which a run of this name, made with the configuration ``made``, had other defaults."""
        return sorted(_conflicts(made, _plain(self.config)))

    def to_json(self) -> dict[str, Any]:
        """What :func:`execute` takes; the runs it needs by name."""
        return {
            "title": self.title,
            "name": self.name,
            "target": self.target,
            "config": _plain(self.config),
            "seed": self.seed,
            "needs": [need.name for need in self.needs],
        }


def slug(title: str, seed: int) -> str:
    """Title and seed of a run as a file name."""
    return re.sub(r"[^a-z0-9.]+", "-", f"{title} {seed}".lower()).strip("-")


def _plain(value: Any) -> Any:
    """As it would come back from JSON, without what is None."""
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items() if entry is not None}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return value


def _beyond(config: dict[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The entries that are not at their defaults."""
    found = {}
    for key, value in config.items():
        default = defaults.get(key)
        if value != default:
            found[key] = _beyond(value, default) if isinstance(value, dict) and isinstance(default, dict) else value
    return found


def _conflicts(made: Mapping[str, Any], wanted: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Entries of both configurations that differ: a default has changed since."""
    for key in made.keys() & wanted.keys():
        if isinstance(made[key], Mapping) and isinstance(wanted[key], Mapping):
            yield from _conflicts(made[key], wanted[key], f"{path}{key}.")
        elif made[key] != wanted[key]:
            yield f"{path}{key} ({made[key]}, now {wanted[key]})"


@dataclass
class Context:
    """What a run's function is given."""

    config: Mapping[str, Any]
    seed: int
    folder: Path
    """For whatever the run writes; the same in all sittings."""
    needs: Sequence[Path]
    """Folders of the runs that it needs, in their order."""
    on_progress: Callable[[dict[str, Any]], None]
    should_stop: Callable[[], bool]
    _pieces: dict[str, Any] | None = field(default=None, repr=False)

    def progress(self, step: int, total: int, phase: str = "") -> None:
        """Tell how far it is."""
        self.on_progress({"phase": phase, "step": step, "total_steps": total})

    def piece(self, name: str, make: Callable[[], Any]) -> Any:
        """Return a JSON-able part of the result, made once in all sittings. Raises Stopped."""
        path = self.folder / "pieces.json"
        if self._pieces is None:
            self._pieces = json.loads(path.read_text()) if path.exists() else {}
        if name not in self._pieces:
            if self.should_stop():
                raise Stopped
            self._pieces[name] = make()
            write_atomically(path, json.dumps(self._pieces).encode())
        return self._pieces[name]


def finished(root: Path, run: Run) -> bool:
    """Whether the run's result is there. Raises ConfigError where it was made with other defaults."""
    path = root / run.name / DOCUMENT
    if not path.is_file():
        return False
    if differing := run.differing(json.loads(path.read_text())["config"]):
        raise ConfigError(
            f"{path.parent} was made with other defaults: {', '.join(differing)}; delete it to do it anew"
        )
    return True


def execute(
    run: Mapping[str, Any],
    root: str | Path,
    on_progress: Callable[[dict[str, Any]], None],
    should_stop: Callable[[], bool],
) -> dict[str, bool]:
    """Do a run (:meth:`Run.to_json`) in its folder under ``root``. ``finished`` False: stopped before its end.

    The result's JSON says what was run, with which versions, and what came out; how long it took is in ``times.json``.
    """
    root = Path(root)
    folder = root / run["name"]
    if (folder / DOCUMENT).is_file():
        return {"finished": True}
    folder.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    context = Context(
        run["config"], run["seed"], folder, [root / need for need in run["needs"]], on_progress, should_stop
    )
    ended = False
    try:
        result = pkgutil.resolve_name(run["target"])(context)
        ended = True
    except Stopped:
        return {"finished": False}
    finally:
        _keep_time(folder / "times.json", time.monotonic() - began, ended)
    document = {**run, "versions": versions(), "result": result}
    write_atomically(folder / DOCUMENT, (json.dumps(document, indent=1) + "\n").encode())
    return {"finished": True}


def _keep_time(path: Path, seconds: float, ended: bool) -> None:
    sittings = json.loads(path.read_text())["sittings"] if path.exists() else []
    content = {"sittings": [*sittings, round(seconds, 1)], "ended": ended}
    write_atomically(path, json.dumps(content).encode())


def versions() -> dict[str, str]:
    """Of Python, the packages that decide on results, and the commit, "-dirty" where files differ from it."""
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    here = Path(__file__).resolve().parent
    describe = ["describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    git = ["git", "--no-optional-locks", "-C", str(here)]
    commit = subprocess.run([*git, *describe], capture_output=True, text=True, check=False)
    if commit.returncode == 0:
        found["commit"] = commit.stdout.strip()
    return found
