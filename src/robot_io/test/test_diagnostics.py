"""What a node tells of itself."""

import math

import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus

from polytask_robot_io.diagnostics import Durations, Intervals, NodeDiagnostics, percentile
from polytask_robot_io.params import BadParameter, declare


def test_percentiles_are_of_the_nearest_rank():
    ordered = [float(value) for value in range(1, 101)]
    assert percentile(ordered, 0.5) == 50
    assert percentile(ordered, 0.99) == 99
    assert percentile(ordered, 1.0) == 100
    assert math.isnan(percentile([], 0.5))


def test_rate_jitter_and_overruns():
    ticks = Intervals(expected_rate=20.0)
    for now in (0.0, 0.05, 0.10, 0.19, 0.20):
        ticks.tick(now)
    shown = ticks.values()
    assert shown["rate [Hz]"] == "20.00"
    assert shown["longest period [ms]"] == "90.000"
    assert shown["overruns"] == "1"
    assert float(shown["jitter [ms]"]) == pytest.approx(28.28, abs=0.01)


def test_a_pause_is_no_period():
    ticks = Intervals(expected_rate=20.0)
    ticks.tick(0.0)
    ticks.pause()
    ticks.tick(100.0)
    assert "rate [Hz]" not in ticks.values()
    assert ticks.overruns == 0


def test_durations():
    latency = Durations()
    assert latency.values() == {}
    for k in range(1, 101):
        latency.add(k / 1000)
    assert latency.values() == {"p50 [ms]": "50.000", "p99 [ms]": "99.000", "max [ms]": "100.000"}


@pytest.fixture
def node():
    context = rclpy.Context()
    rclpy.init(context=context)
    made = rclpy.create_node("toy", namespace="robot", context=context)
    yield made
    made.destroy_node()
    rclpy.shutdown(context=context)


def test_drops_show_with_their_reason_and_warn_once(node):
    sent = []
    told = NodeDiagnostics(node, "toy_robot")
    told._publisher.publish = sent.append  # type: ignore[method-assign]
    told.intervals("step", 20.0).tick()
    told.show("stepping_mode", "service")
    told.drop("commands refused", "not a finite number in dx")
    told.publish()
    told.publish()
    first, second = (array.status[0] for array in sent)
    assert isinstance(sent[0], DiagnosticArray)
    assert (first.name, first.hardware_id) == ("/robot/toy", "toy_robot")
    assert (first.level, second.level) == (DiagnosticStatus.WARN, DiagnosticStatus.OK)
    assert "not a finite number in dx" in first.message
    values = {entry.key: entry.value for entry in second.values}
    assert values["commands refused"] == "1"
    assert values["commands refused last reason"] == "not a finite number in dx"
    assert values["step count"] == "1"
    assert values["stepping_mode"] == "service"


def test_the_warning_tells_what_happened_last(node):
    sent = []
    told = NodeDiagnostics(node, "toy_robot")
    told._publisher.publish = sent.append  # type: ignore[method-assign]
    for _ in range(3):
        told.drop("old", "long ago")
    told.drop("new", "just now")
    told.publish()
    assert sent[0].status[0].message == "new: just now"


def test_foreign_text_is_escaped_and_cut(node):
    sent = []
    told = NodeDiagnostics(node, "toy_robot")
    told._publisher.publish = sent.append  # type: ignore[method-assign]
    told.drop("goals refused", "no task '\x1b[31m\ud800'" + 10_000 * "x")
    told.show("task", "a\nb")
    told.state(DiagnosticStatus.OK, "\x07")
    assert told._state == (DiagnosticStatus.OK, r"\x07")
    told.publish()
    values = {entry.key: entry.value for entry in sent[0].status[0].values}
    assert values["task"] == r"a\nb"
    assert values["goals refused last reason"].startswith(r"no task '\x1b[31m\ud800'xxx")
    assert len(values["goals refused last reason"]) < 600


def test_parameters_are_read_only_and_described(node):
    assert declare(node, "rate", 20.0, "Hz", minimum=1.0) == 20.0
    descriptor = node.describe_parameter("rate")
    assert descriptor.read_only
    assert descriptor.description == "Hz"
    assert not node.set_parameters([rclpy.parameter.Parameter("rate", value=5.0)])[0].successful


@pytest.mark.parametrize(
    ("override", "arguments", "said"),
    [
        ("no", (3, "a number"), "'x' must be a whole number"),
        (-1, (3, "a number"), "out of range"),
        ("c", ("a", "a letter"), "'x' is 'c'; it must be one of a, b"),
        (False, ("a", "a letter"), "'x' must be text.*quotes of its own"),
        (20261127, ("a", "a letter"), "'x' must be text.*quotes of its own"),
    ],
)
def test_wrong_parameters_are_refused(override, arguments, said):
    context = rclpy.Context()
    rclpy.init(context=context)
    parameter = rclpy.parameter.Parameter("x", value=override)
    made = rclpy.create_node("toy", context=context, parameter_overrides=[parameter])
    limits = {"minimum": 0} if isinstance(arguments[0], int) else {"choices": ("a", "b")}
    try:
        with pytest.raises(BadParameter, match=said):
            declare(made, "x", *arguments, **limits)
    finally:
        made.destroy_node()
        rclpy.shutdown(context=context)


@pytest.mark.parametrize(("override", "value"), [(False, "off"), ("off", "off"), ("auto", "auto"), (None, "auto")])
def test_what_yaml_makes_of_off_is_off(override, value):
    context = rclpy.Context()
    rclpy.init(context=context)
    given = [] if override is None else [rclpy.parameter.Parameter("render", value=override)]
    made = rclpy.create_node("toy", context=context, parameter_overrides=given)
    try:
        assert declare(made, "render", "auto", "whether to draw", choices=("auto", "off")) == value
    finally:
        made.destroy_node()
        rclpy.shutdown(context=context)


def test_what_yaml_makes_of_on_is_refused_where_there_is_no_such_choice():
    context = rclpy.Context()
    rclpy.init(context=context)
    made = rclpy.create_node("toy", context=context, parameter_overrides=[rclpy.parameter.Parameter("x", value=True)])
    try:
        with pytest.raises(BadParameter, match="'x' is 'on'; it must be one of auto, off"):
            declare(made, "x", "auto", "whether to draw", choices=("auto", "off"))
    finally:
        made.destroy_node()
        rclpy.shutdown(context=context)
