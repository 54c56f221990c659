"""Where set-up puts things, and the marks that say what is complete."""

from __future__ import annotations

import hashlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path


class SetupError(Exception):
    """Set-up cannot go on; the message says what is missing and the command that mends it."""


@dataclass(frozen=True)
class Layout:
    """Folders of one environment.

    A sourced ROS 2 distribution gets folders of its own (suffix "-jazzy"), so that terminals with and without it can be
    used side by side.
    """

    root: Path
    suffix: str = ""
    robot: bool = False  # what serving and recording need, without simulation and learning

    @property
    def distribution(self) -> str:
        """Name of the ROS 2 distribution built upon; empty for the wheels."""
        return self.suffix.removeprefix("-")

    @property
    def venv(self) -> Path:
        """The virtual environment."""
        return self.root / f".venv{self.suffix}"

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.venv / "bin" / "python"

    @property
    def build(self) -> Path:
        """Build folder of colcon."""
        return self.root / f"build{self.suffix}"

    @property
    def install(self) -> Path:
        """Install folder of colcon."""
        return self.root / f"install{self.suffix}"

    @property
    def log(self) -> Path:
        """Log folder of colcon."""
        return self.root / f"log{self.suffix}"

    @property
    def lock_file(self) -> Path:
        """The exact versions of all Python packages."""
        return self.root / ("requirements-robot.lock" if self.robot else "requirements.lock")

    @property
    def set_mark(self) -> Path:
        """Holds "robot" or "all"; `./polytask` keeps to it until `./polytask setup` asks for the other."""
        return self.venv / "set"

    @property
    def packages_mark(self) -> Path:
        """Holds `packages_key` once all Python packages are installed."""
        return self.venv / "packages"

    @property
    def ready_mark(self) -> Path:
        """Holds the signature of what all was made from, once all is complete; `./polytask` compares it."""
        return self.venv / "ready"

    @property
    def script(self) -> Path:
        """To be sourced by a shell to have the environment."""
        return self.venv / "polytask.sh"

    def packages_key(self) -> str:
        """What the packages depend on: versions, interpreter, place (a virtual environment cannot be moved)."""
        text = f"{self.root}\n{sys.version_info[:2]}\n{self.lock_file.read_text()}"
        return hashlib.sha256(text.encode()).hexdigest()


def read_mark(path: Path) -> str:
    """Contents of a mark; empty where there is none."""
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        return ""


def write_mark(path: Path, text: str) -> None:
    """Set a mark, all or nothing."""
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(text + "\n")
    os.replace(temporary, path)
