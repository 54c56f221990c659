"""From a YAML launch file to the processes it describes."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from polytask_cli.launch_runner.executables import find_executable
from polytask_cli.launch_runner.parameters import ParameterValue, read_value
from polytask_cli.launch_runner.substitutions import LaunchError, NotUnderstood, split, substitute
from polytask_robot_io.ros_environment import BadName, check_name, check_namespace

TIMEOUTS = ("sigterm_timeout", "sigkill_timeout")
ATTRIBUTES = {
    "arg": {"name", "default", "description", "choice"},
    "let": {"name", "value"},
    "set_env": {"name", "value"},
    "include": {"file", "arg"},
    "group": {"scoped"},
    "node": {
        "pkg",
        "exec",
        "name",
        "namespace",
        "args",
        "param",
        "remap",
        "output",
        "on_exit",
        "sigterm_timeout",
        "sigkill_timeout",
    },
}
RENAMED = {"pace": "stepping_mode"}
"""Arguments by their earlier names."""


@dataclass(frozen=True)
class Argument:
    """A declared launch argument."""

    name: str
    default: str | None
    description: str
    choices: tuple[str, ...] = ()


@dataclass
class NodeProcess:
    """One process to start.

    Attributes:
        label: stands before each line of its output; empty for launch_ros, which labels that of its nodes.
        command: the executable and its arguments, but for inline parameters.
        environment: variables that are set for it.
        parameters: inline parameters, to be written to a file that `--params-file` names; each entry of the list is
            either such a mapping or the path of a parameter file, later ones override earlier ones.
        ends_all: its end is the end of everything (`on_exit: shutdown`).
        sigterm_timeout: s from SIGINT to SIGTERM, when it has to be stopped.
        sigkill_timeout: s from there to SIGKILL.
    """

    label: str
    command: list[str]
    ros_arguments: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    parameters: list[dict[str, ParameterValue] | Path] = field(default_factory=list)
    ends_all: bool = False
    sigterm_timeout: float = 3.0
    sigkill_timeout: float = 1.5


class LaunchFile:
    """Reads a launch file and all it includes.

    Like launch, it keeps one set of variables that included files share; only a group has variables of its own.

    With `only_arguments` it goes through the file without the values of required arguments, to say which there are.

    Raises:
        LaunchError: for anything that is wrong or not understood, naming the file.
    """

    def __init__(self, path: Path, arguments: Mapping[str, str], *, only_arguments: bool = False) -> None:
        self.arguments: list[Argument] = []
        self.nodes: list[NodeProcess] = []
        self._variables = dict(arguments)
        self._environment: dict[str, str] = {}
        self._handed_on = set(arguments)
        self._only_arguments = only_arguments
        self._opened: list[Path] = []
        self._file(path)
        unknown = set(arguments) - {argument.name for argument in self.arguments}
        for name in sorted(unknown):
            known = [argument.name for argument in self.arguments]
            renamed = RENAMED.get(name)
            guess = [renamed] if renamed in known else difflib.get_close_matches(name, known, 1)
            hint = f"; did you mean {guess[0]}?" if guess else "."
            raise LaunchError(f"{path} has no argument {name!r}{hint} It has: {', '.join(known) or 'none'}")

    def _file(self, path: Path) -> None:
        if path in self._opened:
            raise LaunchError(f"{path} includes itself")
        try:
            document = yaml.safe_load(path.read_text())
        except OSError as error:
            raise LaunchError(f"cannot read {path}: {error.strerror}") from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise NotUnderstood(f"{path} is not YAML: {error}") from error
        if not isinstance(document, dict) or list(document) != ["launch"] or not isinstance(document["launch"], list):
            raise NotUnderstood(f"{path} is not a YAML launch file: it has to be one list under the key `launch`")
        self._opened.append(path)
        try:
            self._actions(document["launch"])
        except LaunchError as error:
            raise error if str(error).startswith("/") else type(error)(f"{path}: {error}") from error
        self._opened.pop()

    def _actions(self, actions: list[Any]) -> None:
        for entry in actions:
            if not isinstance(entry, dict) or len(entry) != 1:
                raise LaunchError(f"expected one action, such as `- node:`, not {entry!r}")
            [(kind, content)] = entry.items()
            if kind not in ATTRIBUTES:
                raise NotUnderstood(
                    f"action `{kind}` is not understood without launch_ros; {', '.join(ATTRIBUTES)} are"
                )
            if kind == "group" and isinstance(content, list):
                content = {"children": content}
            if not isinstance(content, dict):
                raise LaunchError(f"`{kind}` needs attributes, not {content!r}")
            content = dict(content)
            if not self._condition(content):
                continue
            children = content.pop("children", []) if kind == "group" else []
            for unknown in set(content) - ATTRIBUTES[kind]:
                raise NotUnderstood(
                    f"attribute `{unknown}` of `{kind}` is not understood without launch_ros; "
                    f"{', '.join(sorted(ATTRIBUTES[kind]))}, if and unless are"
                )
            if kind == "group":
                outer = dict(self._variables), dict(self._environment)
                self._actions(children)
                if content.get("scoped", True):
                    self._variables, self._environment = outer
            else:
                getattr(self, f"_{kind}")(content)

    def _condition(self, content: dict[str, Any]) -> bool:
        """Evaluate and remove `if` and `unless`."""
        wanted = True
        for attribute, sense in (("if", True), ("unless", False)):
            if attribute in content:
                value = self._text(content, attribute).strip().lower()
                if value not in ("true", "1", "false", "0"):
                    raise LaunchError(f"`{attribute}` must be true, 1, false or 0, not {value!r}")
                wanted = wanted and (value in ("true", "1")) == sense
        content.pop("if", None)
        content.pop("unless", None)
        return wanted

    def _text(self, content: Mapping[str, Any], attribute: str, default: str | None = None) -> str:
        value = content.get(attribute, default)
        if value is None:
            raise LaunchError(f"attribute `{attribute}` is missing in {dict(content)!r}")
        if not isinstance(value, str):
            # launch refuses it as well.
            raise LaunchError(f'attribute `{attribute}` must be a string: write "{value}" in quotes')
        return substitute(value, self._variables)

    def _seconds(self, content: Mapping[str, Any], attribute: str) -> float:
        value = content[attribute]
        if not isinstance(value, float) or not value >= 0.0:
            raise LaunchError(f"attribute `{attribute}` must be a number of seconds such as 3.0, not {value!r}")
        return value

    def _arg(self, content: dict[str, Any]) -> None:
        name = self._text(content, "name")
        default = self._text(content, "default") if "default" in content else None
        choices = tuple(str(choice["value"]) for choice in content.get("choice", []))
        self.arguments.append(Argument(name, default, content.get("description", ""), choices))
        if default is None and name not in self._handed_on and not self._only_arguments:
            description = content.get("description", "")
            raise LaunchError(f"argument {name!r} has no default: give {name}:=VALUE ({description})")
        if name not in self._variables:
            self._variables[name] = default or ""
        if choices and self._variables[name] not in choices:
            raise LaunchError(f"argument {name!r} must be one of {', '.join(choices)}, not {self._variables[name]!r}")

    def _let(self, content: dict[str, Any]) -> None:
        self._variables[self._text(content, "name")] = self._text(content, "value")

    def _set_env(self, content: dict[str, Any]) -> None:
        self._environment[self._text(content, "name")] = self._text(content, "value")

    def _include(self, content: dict[str, Any]) -> None:
        outer = self._handed_on
        self._handed_on = set()
        for argument in content.get("arg", []):
            name = self._text(argument, "name")
            self._variables[name] = self._text(argument, "value")
            self._handed_on.add(name)  # launch insists that what is required is handed on by name
        self._file(Path(self._text(content, "file")))
        self._handed_on = outer

    def _node(self, content: dict[str, Any]) -> None:
        if self._only_arguments:
            return
        executable = self._text(content, "exec")
        if "pkg" in content:
            executable = str(find_executable(self._text(content, "pkg"), executable))
        if content.get("on_exit", "shutdown") != "shutdown":
            raise NotUnderstood(f"`on_exit` can only be `shutdown`, not {content['on_exit']!r}")
        arguments = [substitute(word, self._variables) for word in split(content.get("args", ""))]
        name = self._text(content, "name", "")
        ros: list[str] = ["-r", f"__node:={name}"] if name else []
        namespace = self._text(content, "namespace", "")
        try:
            if name:
                check_name(name)
            check_namespace(namespace)
        except BadName as error:
            raise LaunchError(str(error)) from None
        namespace = namespace.strip("/")
        if namespace:
            ros += ["-r", f"__ns:=/{namespace}"]
        for remap in content.get("remap", []):
            ros += ["-r", f"{self._text(remap, 'from')}:={self._text(remap, 'to')}"]
        self.nodes.append(
            NodeProcess(
                label=f"{namespace}/{name}" if namespace and name else name or Path(executable).name,
                command=[executable, *arguments],
                ros_arguments=ros,
                environment=dict(self._environment),
                parameters=list(self._parameters(content.get("param", []))),
                ends_all="on_exit" in content,
                **{name: self._seconds(content, name) for name in TIMEOUTS if name in content},
            )
        )

    def _parameters(self, entries: list[dict[str, Any]]) -> Iterator[dict[str, ParameterValue] | Path]:
        for entry in entries:
            if set(entry) == {"from"}:
                path = Path(self._text(entry, "from"))
                if not path.is_file():
                    raise LaunchError(f"there is no parameter file {path}")
                yield path
            elif {"name", "value"} <= set(entry) <= {"name", "value", "type"}:
                name, value = self._text(entry, "name"), entry["value"]
                try:
                    if isinstance(value, str):
                        value = read_value(substitute(value, self._variables), entry.get("type"))
                except ValueError as error:
                    raise LaunchError(f"parameter {name!r}: {error}") from None
                yield {name: value}
            else:
                raise NotUnderstood(f"a `param` has either `from` or `name`, `value` and perhaps `type`, not {entry!r}")
