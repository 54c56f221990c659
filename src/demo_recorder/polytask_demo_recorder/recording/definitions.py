"""Message definitions as text, for the schemas of MCAP files (encoding ``ros2msg``).

They come from the ``.msg`` files that every interface package installs, with a ROS distribution and with wheels alike,
so the text is that of the very types in use.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path

from polytask_demo_recorder.errors import RecordingError

PRIMITIVES = frozenset(
    (
        "bool",
        "byte",
        "char",
        "float32",
        "float64",
        "int8",
        "uint8",
        "int16",
        "uint16",
        "int32",
        "uint32",
        "int64",
        "uint64",
        "string",
        "wstring",
    )
)
SEPARATOR = "=" * 80
_TYPE = re.compile(r"^\s*([A-Za-z][\w/]*)(?:<=\d+)?(?:\[[^\]]*\])?\s+[A-Za-z]\w*")


@functools.cache
def definition(type_name: str) -> str:
    """Definition of a message type such as ``sensor_msgs/msg/Image``, followed by those of all types in it.

    Raises:
        RecordingError: the package, or its definition, is not installed.
    """
    package, _, name = type_name.partition("/msg/")
    own = _text(package, name)
    parts, seen, waiting = [own], {(package, name)}, _inner(package, own)
    while waiting:
        key = waiting.pop(0)
        if key in seen:
            continue
        seen.add(key)
        text = _text(*key)
        parts.append(f"{SEPARATOR}\nMSG: {key[0]}/{key[1]}\n{text}")
        waiting += _inner(key[0], text)
    return "\n".join(parts)


def _inner(package: str, text: str) -> list[tuple[str, str]]:
    """(package, name) of the message types that a definition uses."""
    found = []
    for line in text.splitlines():
        match = _TYPE.match(line.partition("#")[0])
        if match is None or match[1] in PRIMITIVES:
            continue
        parts = match[1].split("/")
        found.append((parts[0] if len(parts) > 1 else package, parts[-1]))
    return found


def _text(package: str, name: str) -> str:
    from ament_index_python.packages import PackageNotFoundError, get_package_share_directory

    try:
        return (Path(get_package_share_directory(package)) / "msg" / f"{name}.msg").read_text(encoding="utf-8")
    except (PackageNotFoundError, OSError) as error:
        raise RecordingError(
            f"the definition of {package}/msg/{name} is not installed: {error}. Source the workspace that provides it."
        ) from error
