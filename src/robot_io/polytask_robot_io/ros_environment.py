"""Settings of the environment that ROS fails on, checked before it does, or mended; standard library only."""

from __future__ import annotations

import os
import re
import stat
import sys
import tempfile
from pathlib import Path

HIGHEST_DOMAIN = 232
"""Its ports are the last that fit below 65536."""
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
NAME_RULE = "begins with a letter or an underscore and has letters, digits and underscores only"


class BadEnvironment(ValueError):
    """A setting that no node can start with; the message says which, and what it may be."""


class BadName(ValueError):
    """A namespace or a node's name that ROS refuses."""


def check_name(name: str) -> None:
    """Raise :class:`BadName` for what cannot be a node's name."""
    if not NAME.fullmatch(name):
        raise BadName(f"{name!r} cannot be a node's name: it {NAME_RULE}")


def check_namespace(namespace: str) -> None:
    """Raise :class:`BadName` for what cannot be a namespace; it may be empty, and begin and end with a slash."""
    if namespace.strip("/") and not all(NAME.fullmatch(part) for part in namespace.strip("/").split("/")):
        raise BadName(f"{namespace!r} cannot be a namespace: each of its parts {NAME_RULE}")


def prepare() -> None:
    """To be called before ``rclpy.init``: refuses a wrong ROS_DOMAIN_ID, and finds a folder for logs.

    Raises:
        BadEnvironment: no node can start like this.
    """
    check_domain()
    provide_log_folder()


def check_domain() -> None:
    """Raise :class:`BadEnvironment` for a ROS_DOMAIN_ID that is none, or that ROS takes for another (010 for 8)."""
    domain = os.environ.get("ROS_DOMAIN_ID", "")
    if domain and not (re.fullmatch("0|[1-9][0-9]{0,2}", domain) and int(domain) <= HIGHEST_DOMAIN):
        raise BadEnvironment(
            f"ROS_DOMAIN_ID is {domain!r}; it has to be a whole number from 0 to {HIGHEST_DOMAIN}, the same for all "
            "nodes that are to hear each other. Set it to one, or unset it: that means 0"
        )


def provide_log_folder() -> None:
    """Where ROS cannot write its logs, have it write them among temporary files, and say so on stderr.

    Raises:
        BadEnvironment: there is no place for them either.
    """
    folder = log_folder()
    reason = "HOME is not set" if folder is None else _unwritable(folder)
    if not reason:
        return
    try:
        other = Path(tempfile.gettempdir()) / f"polytask-ros-log-{os.getuid()}"
        if _unwritable(other) or other.lstat().st_uid != os.getuid() or not stat.S_ISDIR(other.lstat().st_mode):
            other = Path(tempfile.mkdtemp(prefix="polytask-ros-log-"))
    except OSError as error:
        raise BadEnvironment(
            f"ROS can write its logs neither in {folder} ({reason}) nor among temporary files ({error}); "
            "set ROS_LOG_DIR to a folder that can be written"
        ) from None
    os.environ["ROS_LOG_DIR"] = str(other)
    where = f" in {folder}" if folder else ""
    print(
        f"ROS cannot write its logs{where} ({reason}); they go to {other} (ROS_LOG_DIR sets another)", file=sys.stderr
    )


def log_folder() -> Path | None:
    """Where ROS writes its logs as the environment is; None where it would find no place."""
    home = os.environ.get("HOME", "")
    named = os.environ.get("ROS_LOG_DIR", "")
    if not named:
        above = os.environ.get("ROS_HOME", "") or "~/.ros"
        named = f"{above}/log"
    if named.startswith("~"):
        return Path(home + named[1:]) if home else None
    return Path(named)


def _unwritable(folder: Path) -> str:
    """Why nothing can be written in a folder, which is made where it is missing; empty when something can."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=folder):
            return ""
    except OSError as error:
        return error.strerror or str(error)
