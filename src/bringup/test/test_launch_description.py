"""Launch files: what they describe, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from polytask_bringup.launch_runner import LaunchError
from polytask_bringup.launch_runner.description import Description
from polytask_bringup.launch_runner.substitutions import substitute

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture
def write(tmp_path: Path):
    def write_file(text: str, name: str = "a.launch.yaml") -> Path:
        path = tmp_path / name
        path.write_text(text)
        return path

    return write_file


def test_substitutions(monkeypatch):
    monkeypatch.setenv("POLYTASK_TEST", "there")
    variables = {"a": "1", "name": "a"}
    assert substitute("x$(var a)y", variables) == "x1y"
    assert substitute("$(var $(var name))$(var a)", variables) == "11"
    assert substitute("$(env POLYTASK_TEST)", {}) == "there"
    assert substitute("$(env POLYTASK_NOT_THERE 'by default')", {}) == "by default"
    assert Path(substitute("$(find-pkg-share polytask_bringup)/launch", {})).is_dir()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("$(var b)", "no argument or variable 'b'; there are a"),
        ("$(find-pkg-share no_such_package)", "'no_such_package' is not installed"),
        ("$(env POLYTASK_NOT_THERE)", "POLYTASK_NOT_THERE is not set"),
        ("$(eval 1+1)", "without launch_ros only"),
        ("$(var a", "never closed"),
        ("$()", "only"),
        ("$(var 'a)", "only"),
    ],
)
def test_bad_substitutions(text, message):
    with pytest.raises(LaunchError, match=r"(?s).*" + message.replace("(", r"\(")):
        substitute(text, {"a": "1"})


def test_node(write):
    params = write("/**: {ros__parameters: {x: 1}}", "p.yaml")
    path = write(f"""
launch:
- arg: {{name: ns, default: "arm"}}
- arg: {{name: sim, default: "true"}}
- node:
    pkg: polytask_bringup
    exec: polytask
    name: driver
    namespace: $(var ns)
    args: --fast $(var ns)
    remap:
    - {{from: command, to: other/command}}
    param:
    - {{from: {params}}}
    - {{name: use_sim_time, value: $(var sim)}}
    - {{name: text, value: $(var ns)}}
    - {{name: rate, value: 20.0}}
    - {{name: empty, value: ""}}
    on_exit: shutdown
    sigterm_timeout: 1.0
""")
    [node] = Description(path, {"ns": "left"}).nodes
    assert node.label == "left/driver"
    assert node.command[0].endswith("/lib/polytask_bringup/polytask")
    assert node.command[1:] == ["--fast", "left"]
    assert node.ros_arguments == ["-r", "__node:=driver", "-r", "__ns:=/left", "-r", "command:=other/command"]
    assert node.parameters == [params, {"use_sim_time": True}, {"text": "left"}, {"rate": 20.0}, {"empty": ""}]
    assert node.ends_all
    assert (node.sigterm_timeout, node.sigkill_timeout) == (1.0, 1.5)


def test_variables_conditions_groups_and_includes(write):
    inner = write(
        """
launch:
- arg: {name: who, default: "nobody"}
- node: {exec: "echo", args: "$(var who) $(var extra)"}
""",
        "inner.launch.yaml",
    )
    path = write(f"""
launch:
- arg: {{name: active, default: "true"}}
- let: {{name: extra, value: "outer"}}
- group:
    if: $(var active)
    children:
    - let: {{name: extra, value: "grouped"}}
    - node: {{exec: "echo", args: $(var extra)}}
- group:
  - node: {{unless: $(var active), exec: "echo", args: never}}
- include:
    file: {inner}
    arg:
    - {{name: who, value: me}}
""")
    assert [node.command for node in Description(path, {}).nodes] == [["echo", "grouped"], ["echo", "me", "outer"]]
    assert [node.command[1] for node in Description(path, {"active": "0"}).nodes] == ["never", "me"]
    names = [argument.name for argument in Description(path, {}).arguments]
    assert names == ["active", "who"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- node: {}", "one list under the key `launch`"),
        ("launch: [", "is not YAML"),
        ("launch:\n- log: {message: x}", "action `log` is not understood without launch_ros"),
        ("launch:\n- node: {exec: a, respawn: 'true'}", "attribute `respawn` of `node` is not understood"),
        ("launch:\n- node: {pkg: polytask_bringup, exec: nope}", "no executable 'nope'; it has: polytask"),
        ("launch:\n- node: {pkg: rviz2, exec: rviz2}", "comes with a ROS 2 distribution"),
        ("launch:\n- arg: {name: a}", "argument 'a' has no default: give a:=VALUE"),
        ("launch:\n- arg: {name: a, default: 1}", 'must be a string: write "1" in quotes'),
        ("launch:\n- arg: {name: a, default: x, choice: [{value: y}]}", "one of y, not 'x'"),
        ("launch:\n- node: {exec: a, if: 'maybe'}", "must be true, 1, false or 0"),
        ("launch:\n- node: {exec: a, param: [{from: /no/such}]}", "no parameter file /no/such"),
        ("launch:\n- node: {exec: a, param: [{name: b}]}", "either `from` or `name` and `value`"),
        ("launch:\n- node: {exec: a, on_exit: respawn}", "can only be `shutdown`"),
        ("launch:\n- node: {exec: a, sigterm_timeout: 3}", "must be a number of seconds"),
        ("launch:\n- include: {file: /no/such.yaml}", "cannot read /no/such.yaml"),
        ("launch:\n- node\n", "expected one action"),
        ("launch:\n- node: x\n", "needs attributes"),
    ],
)
def test_refusals_name_the_file(write, text, message):
    path = write(text)
    with pytest.raises(LaunchError) as error:
        Description(path, {})
    assert message in str(error.value)
    assert str(path) in str(error.value) or "/no/such" in str(error.value)


def test_unknown_argument(write):
    path = write('launch:\n- arg: {name: suite, default: "x"}')
    with pytest.raises(LaunchError, match="no argument 'suit'; did you mean suite"):
        Description(path, {"suit": "y"})


def test_required_arguments_are_handed_on_by_name(write):
    inner = write("launch:\n- arg: {name: a}\n- node: {exec: echo, args: $(var a)}", "inner.launch.yaml")
    silent = write(f"launch:\n- arg: {{name: a}}\n- include: {{file: {inner}}}")
    with pytest.raises(LaunchError, match=r"inner\.launch\.yaml: argument 'a' has no default"):
        Description(silent, {"a": "x"})
    arg = "[{name: a, value: $(var a)}]"
    path = write(f"launch:\n- arg: {{name: a}}\n- include: {{file: {inner}, arg: {arg}}}")
    assert Description(path, {"a": "x"}).nodes[0].command == ["echo", "x"]


def test_a_file_that_includes_itself(write, tmp_path):
    path = write(f"launch:\n- include: {{file: {tmp_path}/a.launch.yaml}}")
    with pytest.raises(LaunchError, match="includes itself"):
        Description(path, {})


@pytest.mark.parametrize("path", sorted((REPOSITORY / "launch").glob("*.launch.yaml")), ids=lambda path: path.name)
def test_own_files(path):
    """They are understood, their nodes exist, and parameter files name the nodes they are for."""
    arguments = {"checkpoint": "/tmp"} if path.name.startswith(("serve", "demo")) else {}
    description = Description(path, arguments)
    assert description.nodes
    for argument in description.arguments:
        assert argument.description, f"{argument.name} has no description"
    for node in description.nodes:
        for entry in node.parameters:
            if isinstance(entry, Path):
                [target] = yaml.safe_load(entry.read_text())
                assert target == f"/**/{node.label}"


@pytest.mark.parametrize("path", sorted((REPOSITORY / "launch").glob("*.launch.yaml")), ids=lambda path: path.name)
def test_own_files_with_a_namespace(path):
    arguments = {"checkpoint": "/tmp"} if path.name.startswith(("serve", "demo")) else {}
    for node in Description(path, {**arguments, "namespace": "left"}).nodes:
        assert "__ns:=/left" in node.ros_arguments
