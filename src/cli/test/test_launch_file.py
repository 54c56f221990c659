"""Launch files: what they describe, and what is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from polytask_cli.launch_runner import LaunchError
from polytask_cli.launch_runner.launch_file import LaunchFile
from polytask_cli.launch_runner.parameters import write_parameters
from polytask_cli.launch_runner.substitutions import substitute

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
    pkg: polytask_cli
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
    [node] = LaunchFile(path, {"ns": "left"}).nodes
    assert node.label == "left/driver"
    assert node.command[0].endswith("/lib/polytask_cli/polytask")
    assert node.command[1:] == ["--fast", "left"]
    assert node.ros_arguments == ["-r", "__node:=driver", "-r", "__ns:=/left", "-r", "command:=other/command"]
    assert node.parameters == [params, {"use_sim_time": True}, {"text": "left"}, {"rate": 20.0}, {"empty": ""}]
    assert node.ends_all
    assert (node.sigterm_timeout, node.sigkill_timeout) == (1.0, 1.5)


def test_a_blank_in_a_path_parts_nothing(write):
    path = write("""
launch:
- arg: {name: folder, default: "/my robots/#1"}
- node: {exec: "echo", args: "-d $(var folder)/a.rviz  $(env NO_SUCH 'b c')"}
""")
    assert LaunchFile(path, {}).nodes[0].command == ["echo", "-d", "/my robots/#1/a.rviz", "b c"]


def test_environment(write):
    path = write("""
launch:
- set_env: {name: A, value: "1"}
- group:
  - set_env: {name: A, value: "2"}
  - set_env: {name: B, value: "$(eval 'os.getpid()' 'os')"}
  - node: {exec: "inner"}
- node: {exec: "outer"}
""")
    assert [node.environment for node in LaunchFile(path, {}).nodes] == [{"A": "2", "B": str(os.getpid())}, {"A": "1"}]


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
    assert [node.command for node in LaunchFile(path, {}).nodes] == [["echo", "grouped"], ["echo", "me", "outer"]]
    assert [node.command[1] for node in LaunchFile(path, {"active": "0"}).nodes] == ["never", "me"]
    names = [argument.name for argument in LaunchFile(path, {}).arguments]
    assert names == ["active", "who"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- node: {}", "one list under the key `launch`"),
        ("launch: [", "is not YAML"),
        ("launch:\n- log: {message: x}", "action `log` is not understood without launch_ros"),
        ("launch:\n- node: {exec: a, respawn: 'true'}", "attribute `respawn` of `node` is not understood"),
        ("launch:\n- node: {pkg: polytask_cli, exec: nope}", "no executable 'nope'; it has: polytask"),
        ("launch:\n- node: {pkg: rviz2, exec: rviz2}", "comes with a ROS 2 distribution"),
        ("launch:\n- arg: {name: a}", "argument 'a' has no default: give a:=VALUE"),
        ("launch:\n- arg: {name: a, default: 1}", 'must be a string: write "1" in quotes'),
        ("launch:\n- arg: {name: a, default: x, choice: [{value: y}]}", "one of y, not 'x'"),
        ("launch:\n- node: {exec: a, if: 'maybe'}", "must be true, 1, false or 0"),
        ("launch:\n- node: {exec: a, param: [{from: /no/such}]}", "no parameter file /no/such"),
        ("launch:\n- node: {exec: a, param: [{name: b}]}", "either `from` or `name`, `value` and perhaps `type`"),
        ("launch:\n- node: {exec: a, on_exit: respawn}", "can only be `shutdown`"),
        ("launch:\n- node: {exec: a, sigterm_timeout: 3}", "must be a number of seconds"),
        ("launch:\n- node: {exec: a, namespace: '1'}", "'1' cannot be a namespace: each of its parts begins with"),
        ("launch:\n- node: {exec: a, namespace: a//b}", "'a//b' cannot be a namespace"),
        ("launch:\n- node: {exec: a, namespace: a-b}", "'a-b' cannot be a namespace"),
        ("launch:\n- node: {exec: a, name: arm 1}", "'arm 1' cannot be a node's name"),
        ("launch:\n- node: {exec: a, param: [{name: b, value: '{x'}]}", "parameter 'b': '{x' is not YAML"),
        ("launch:\n- node: {exec: a, param: [{name: b, value: 'x', type: list}]}", "`type` 'list' is not understood"),
        ("launch:\n- include: {file: /no/such.yaml}", "cannot read /no/such.yaml"),
        ("launch:\n- node\n", "expected one action"),
        ("launch:\n- node: x\n", "needs attributes"),
    ],
)
def test_refusals_name_the_file(write, text, message):
    path = write(text)
    with pytest.raises(LaunchError) as error:
        LaunchFile(path, {})
    assert message in str(error.value)
    assert str(path) in str(error.value) or "/no/such" in str(error.value)


def test_unknown_argument(write):
    path = write('launch:\n- arg: {name: suite, default: "x"}')
    with pytest.raises(LaunchError, match="no argument 'suit'; did you mean suite"):
        LaunchFile(path, {"suit": "y"})


def test_required_arguments_are_handed_on_by_name(write):
    inner = write("launch:\n- arg: {name: a}\n- node: {exec: echo, args: $(var a)}", "inner.launch.yaml")
    silent = write(f"launch:\n- arg: {{name: a}}\n- include: {{file: {inner}}}")
    with pytest.raises(LaunchError, match=r"inner\.launch\.yaml: argument 'a' has no default"):
        LaunchFile(silent, {"a": "x"})
    arg = "[{name: a, value: $(var a)}]"
    path = write(f"launch:\n- arg: {{name: a}}\n- include: {{file: {inner}, arg: {arg}}}")
    assert LaunchFile(path, {"a": "x"}).nodes[0].command == ["echo", "x"]


def test_a_file_that_includes_itself(write, tmp_path):
    path = write(f"launch:\n- include: {{file: {tmp_path}/a.launch.yaml}}")
    with pytest.raises(LaunchError, match="includes itself"):
        LaunchFile(path, {})


@pytest.mark.parametrize("path", sorted((REPOSITORY / "launch").glob("*.launch.yaml")), ids=lambda path: path.name)
def test_own_files(path):
    """They are understood, their nodes exist, and parameter files name the nodes they are for."""
    arguments = {"checkpoint": "/tmp"} if path.name.startswith(("serve", "demo")) else {}
    description = LaunchFile(path, arguments)
    assert description.nodes
    for node in description.nodes:
        assert node.environment == {"POLYTASK_LAUNCHER": str(os.getpid())}
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
    for node in LaunchFile(path, {**arguments, "namespace": "left"}).nodes:
        assert "__ns:=/left" in node.ros_arguments


LIKE_YAML = [
    *("2026_11_27", "2026-11-27", "2026-11-27 10:00:00", "12:30:45", "0010", "1e3", "1_000", "0x10", ".5", "+1", "nan"),
    *("yes", "no", "on", "off", "y", "n", "true", "null", "~", "", " ", "a ", " a", "/policies/blue #2", "#", "a: b"),
    *(
        "{",
        "[a",
        "- a",
        "'",
        '"',
        "it's",
        "back\\slash",
        "%",
        "@",
        "`",
        "|",
        ">",
        "&a",
        "*a",
        "!a",
        "$",
        "=",
        "é",
        "\t",
    ),
]


@pytest.mark.parametrize("text", LIKE_YAML)
def test_text_stays_text(text, tmp_path):
    """From the command line of every launch file to the file that the node reads."""
    arguments = {"checkpoint": text, "dataset": text, "embodiment": text, "task": text}
    for name in ("serve", "record", "simulation"):
        path = REPOSITORY / "launch" / f"{name}.launch.yaml"
        known = {argument.name for argument in LaunchFile(path, {}, only_arguments=True).arguments}
        given = {key: value for key, value in arguments.items() if key in known}
        found = {}
        for node in LaunchFile(path, given).nodes:
            for entry in node.parameters:
                if isinstance(entry, dict):
                    write_parameters(tmp_path / "params.yaml", entry)
                    [read] = yaml.safe_load((tmp_path / "params.yaml").read_text()).values()
                    found.update(read["ros__parameters"])
        assert {key: found[key] for key in given} == given


def test_text_is_quoted_since_rcl_reads_more_as_numbers_than_yaml_says(tmp_path):
    write_parameters(tmp_path / "params.yaml", {"a": "1e3", "b": "y", "c": 3, "d": True, "e": 0.5, "f": "\x7f\x85é"})
    assert (tmp_path / "params.yaml").read_text() == (
        '{"/**": {"ros__parameters": {"a": "1e3", "b": "y", "c": 3, "d": true, "e": 0.5, "f": "\\u007f\\u0085é"}}}'
    )


@pytest.mark.parametrize(("text", "number"), [("0010", 10), ("7", 7), ("-3", -3), ("1_000", 1000), (" 5 ", 5)])
def test_a_whole_number_is_what_a_person_means(text, number):
    assert seed_of(text) == number


@pytest.mark.parametrize("text", ["", "0x10", "1e3", "1.0", "ten", "0o10", "true", "2026-11-27"])
def test_what_is_no_whole_number(text):
    with pytest.raises(LaunchError, match=r"parameter 'seed': .* is not a whole number"):
        seed_of(text)


def seed_of(text):
    [node] = LaunchFile(REPOSITORY / "launch" / "simulation.launch.yaml", {"seed": text}).nodes
    [seed] = [entry["seed"] for entry in node.parameters if isinstance(entry, dict) and "seed" in entry]
    return seed


def test_what_is_neither_true_nor_false():
    with pytest.raises(LaunchError, match="'maybe' is neither true nor false"):
        LaunchFile(REPOSITORY / "launch" / "serve.launch.yaml", {"checkpoint": "x", "use_sim_time": "maybe"})


@pytest.mark.parametrize(("text", "value"), [("true", True), ("0", False), ("1", True), ("off", False)])
def test_true_or_false(text, value):
    nodes = LaunchFile(REPOSITORY / "launch" / "serve.launch.yaml", {"checkpoint": "x", "use_sim_time": text}).nodes
    assert {"use_sim_time": value} in nodes[-1].parameters


def test_a_letter_that_is_not_unicode(tmp_path):
    with pytest.raises(LaunchError, match="is not UTF-8"):
        LaunchFile(REPOSITORY / "launch" / "simulation.launch.yaml", {"task": "\udce9"})
