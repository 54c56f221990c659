"""Substitutions in launch files: `$(name argument …)`, which may stand inside one another."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory

KNOWN = "$(var NAME), $(find-pkg-share PACKAGE), $(env NAME), $(env NAME DEFAULT) and $(eval 'os.getpid()' 'os')"


class LaunchError(Exception):
    """A launch file cannot be run; the message says where and why."""


class NotUnderstood(LaunchError):
    """It uses what only launch_ros understands."""


def substitute(text: str, variables: Mapping[str, str]) -> str:
    """Replace all substitutions in `text`.

    Args:
        variables: launch arguments and variables in force.

    Raises:
        LaunchError: for an unknown substitution, variable, package or environment variable.
    """
    result = ""
    position = 0
    while (start := text.find("$(", position)) >= 0:
        end = _closing(text, start)
        result += text[position:start] + _evaluate(substitute(text[start + 2 : end], variables), variables)
        position = end + 1
    return result + text[position:]


def split(text: str) -> list[str]:
    """Words of a command line; blanks inside a substitution part nothing, nor will those that it brings."""
    words = [""]
    position = 0
    while position < len(text):
        end = _closing(text, position) + 1 if text.startswith("$(", position) else position + 1
        if text[position].isspace():
            words.append("")
        else:
            words[-1] += text[position:end]
        position = end
    return [word for word in words if word]


def _closing(text: str, start: int) -> int:
    """Index of the parenthesis that closes the one of `$(` at `start`."""
    depth = 0
    for match in re.finditer(r"[()]", text[start:]):
        depth += 1 if match[0] == "(" else -1
        if depth == 0:
            return start + match.start()
    raise LaunchError(f"{text!r} has a `$(` that is never closed")


def _evaluate(inner: str, variables: Mapping[str, str]) -> str:
    try:
        name, *arguments = shlex.split(inner)
    except ValueError:
        name, arguments = "", []
    match name, arguments:
        case "var", [variable]:
            if variable not in variables:
                raise LaunchError(
                    f"$({inner}): there is no argument or variable {variable!r}; there are {_names(variables)}"
                )
            return variables[variable]
        case "find-pkg-share", [package]:
            try:
                return str(get_package_share_directory(package))
            except (PackageNotFoundError, ValueError) as error:
                raise LaunchError(f"$({inner}): package {package!r} is not installed") from error
        case "env", [variable]:
            if variable not in os.environ:
                raise LaunchError(f"$({inner}): environment variable {variable} is not set")
            return os.environ[variable]
        case "env", [variable, default]:
            return os.environ.get(variable, default)
        case "eval", ["os.getpid()", "os"]:  # the launcher; the one expression that the project's files need
            return str(os.getpid())
    raise NotUnderstood(f"$({inner}): without launch_ros only {KNOWN} are understood")


def _names(variables: Mapping[str, str]) -> str:
    return ", ".join(sorted(variables)) or "none"
