"""Node parameters, declared with a description and checked, so that a wrong one is refused with a remedy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node

from polytask_robot_io.text import printable

Value = TypeVar("Value", bool, int, float, str, list[str])


class BadParameter(ValueError):
    """A parameter of the wrong type or out of range; the message says which, and what it may be."""


def declare(
    node: Node,
    name: str,
    default: Value,
    description: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    choices: Sequence[str] = (),
    changeable: bool = False,
) -> Value:
    """Declare a parameter, and give its value.

    Args:
        node: whose parameter it is.
        name: the parameter's name.
        default: its value when none is set; also fixes the type.
        description: one sentence, with the unit.
        minimum: least value allowed, for numbers.
        maximum: greatest value allowed, for numbers.
        choices: values allowed, for text; where "off" or "on" is one of them, what YAML makes of these words is too.
        changeable: whether it may be set while the node runs; the node then has to look after that itself.

    Raises:
        BadParameter: what was set has another type or lies outside.
    """
    descriptor = ParameterDescriptor(description=description, read_only=not changeable)
    if choices:
        descriptor.additional_constraints = f"one of: {', '.join(choices)}"
        descriptor.dynamic_typing = "off" in choices or "on" in choices
    elif minimum is not None or maximum is not None:
        if isinstance(default, int) and not isinstance(default, bool):
            low = int(minimum) if minimum is not None else -(2**63)
            high = int(maximum) if maximum is not None else 2**63 - 1
            descriptor.integer_range = [IntegerRange(from_value=low, to_value=high)]
        else:
            low_f = -1.7e308 if minimum is None else float(minimum)
            high_f = 1.7e308 if maximum is None else float(maximum)
            descriptor.floating_point_range = [FloatingPointRange(from_value=low_f, to_value=high_f)]
    try:
        value = node.declare_parameter(name, default, descriptor).value
    except InvalidParameterTypeException as error:
        raise BadParameter(f"parameter '{name}' must be {_kind(default)}: {error}{_quoted(name, default)}") from error
    except InvalidParameterValueException as error:
        raise BadParameter(f"parameter '{name}' ({description}): {error}") from error
    if choices and isinstance(value, bool):  # YAML 1.1 takes off and on for truth values
        value = "on" if value else "off"
    if choices and value not in choices:
        raise BadParameter(f"parameter '{name}' is '{printable(str(value))}'; it must be one of {', '.join(choices)}")
    return value


def refuse_renamed(node: Node, old: str, new: str) -> None:
    """Refuse a parameter that is set by its earlier name; ROS ignores names that no node declares.

    Raises:
        BadParameter: it was set; the message gives the new name.
    """
    value = node.declare_parameter(old, None, ParameterDescriptor(dynamic_typing=True)).value
    node.undeclare_parameter(old)
    if value is not None:
        raise BadParameter(f"parameter '{old}' is now called '{new}'; set {new}:={printable(str(value))}")


def _quoted(name: str, default: object) -> str:
    """How to give a text that YAML takes for something else, such as 2026_11_27 for a number."""
    if not isinstance(default, str):
        return ""
    return f". Text that YAML takes for something else goes in quotes of its own: -p '{name}:=\"2026_11_27\"'"


def _kind(default: object) -> str:
    kinds = {bool: "true or false", int: "a whole number", float: "a number with a decimal point (1.0)", str: "text"}
    return kinds.get(type(default), "a list of text")
