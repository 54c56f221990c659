"""Set-up: what it finds missing, how it mends what was interrupted, and that its files fit together."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from polytask_cli.environment import packages, system, workspace
from polytask_cli.environment.layout import Layout, SetupError, read_mark, write_mark
from polytask_cli.environment.progress import CommandFailed, Step, run

REPOSITORY = Path(__file__).resolve().parents[3]
TOOLS = ("bash", "cat", "dirname", "env", "find", "id", "readlink", "sha256sum", "sort", "uname", "python3")


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A folder with few programs: no cmake, no compiler, no apt-get."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in TOOLS:
        (folder / name).symlink_to(sys.executable if name == "python3" else str(shutil.which(name)))
    return folder


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The front door without an environment behind it."""
    root = tmp_path / "checkout"
    (root / "src" / "cli").mkdir(parents=True)
    shutil.copy(REPOSITORY / "polytask", root)
    shutil.copy(REPOSITORY / "requirements.lock", root)
    shutil.copytree(
        REPOSITORY / "src" / "cli" / "polytask_cli" / "environment",
        root / "src" / "cli" / "polytask_cli" / "environment",
    )
    (root / "src" / "cli" / "polytask_cli" / "__init__.py").touch()
    return root


def call(checkout: Path, path: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(checkout / "polytask"), "--help"],
        capture_output=True,
        text=True,
        env={"PATH": str(path), **env},
        timeout=60,
    )


def test_missing_programs_are_named_with_the_command_that_brings_them(checkout, bare):
    result = call(checkout, bare)
    assert result.returncode == 1
    assert "missing: cmake, a C++ compiler (c++), make." in result.stderr
    assert "sudo apt-get install cmake g++ make" in result.stderr
    assert "Traceback" not in result.stderr


def test_no_python(checkout, bare):
    (bare / "python3").unlink()
    result = call(checkout, bare)
    assert result.returncode == 1
    assert "no Python 3.10, 3.11, 3.12 or 3.13 was found" in result.stderr
    assert "apt-get install python3" in result.stderr


def test_a_python_that_is_too_new(checkout, bare):
    (bare / "python3").unlink()
    (bare / "python3").write_text(
        "#!/bin/sh\n[ $1 != --version ] || echo Python 3.14.1\ncase $2 in *'< (3, 14)'*) exit 0;; esac\nexit 1\n"
    )
    (bare / "python3").chmod(0o755)
    result = call(checkout, bare)
    assert result.returncode == 1
    assert "Python 3.14.1 is too new: numpy 2.2.6 (cv-bridge fails with 2.3), mujoco 3.3.0" in result.stderr


@pytest.mark.parametrize("name", ["spü", "my robots", "a#b", "it's", "a:b", "100%", "a;b", "$x", "a,b", "(a)", "日本"])
def test_a_path_that_cannot_be_built_in(checkout, bare, name):
    """Refused before anything is looked for, made or fetched."""
    folder = checkout.parent / name
    checkout.rename(folder)
    before = sorted(folder.rglob("*"))
    result = call(folder, bare)
    assert result.returncode == 1
    assert f"the path of this checkout has a character that building ROS 2 messages fails on: {folder}" in result.stderr
    assert sorted(folder.rglob("*")) == before


def test_a_path_that_can_be_built_in(checkout, bare):
    folder = checkout.parent / "Robots_2.v-1"
    checkout.rename(folder)
    assert "missing: cmake" in call(folder, bare).stderr


def test_the_set_is_kept_until_the_other_is_asked_for(checkout, bare):
    def said(*command):
        return subprocess.run(
            [checkout / "polytask", *command], capture_output=True, text=True, env={"PATH": str(bare)}
        ).stderr

    assert f"polytask: setting up {checkout} on ROS 2 from Python wheels\n" in said("--help")
    assert "setting up what a robot needs, " in said("setup", "--robot")
    (checkout / ".venv").mkdir()
    (checkout / ".venv" / "set").write_text("robot\n")
    assert "setting up what a robot needs, " in said("--help")
    assert f"setting up {checkout}" in said("setup")


def test_how_much_and_which_torch_is_said_before_anything_is_fetched(tmp_path, monkeypatch, capfd):
    layout = Layout(tmp_path, robot=True)
    layout.venv.mkdir()
    layout.lock_file.write_text("numpy==2.2.6\ntorch==2.13.0  # with its dependencies\n")
    monkeypatch.setattr(packages, "NVIDIA", tmp_path)  # it exists
    monkeypatch.setattr(packages, "run", lambda *_, **__: print("fetched", file=sys.stderr))
    monkeypatch.setattr(packages, "relocate_cmake", lambda _: None)
    packages.provide_packages(layout, Step(3, 4, "Python packages"), 2)
    _, first, second, *_ = capfd.readouterr().err.splitlines()
    assert first == (
        "[3/4] Python packages: 2 packages, about 3.0 GB to fetch but for what pip has kept; torch for NVIDIA GPUs, "
        "as this machine has an NVIDIA driver"
    )
    assert second == "fetched"


def test_a_distribution_that_is_too_old(checkout, bare):
    result = call(checkout, bare, ROS_DISTRO="humble")
    assert result.returncode == 1
    assert "humble is older than the oldest that will do, jazzy" in result.stderr


def test_a_distribution_gets_an_environment_of_its_own(checkout, bare):
    if not packages_python_suits():
        pytest.skip("the distribution's Python is another one here")
    result = call(checkout, bare, ROS_DISTRO="kilted")
    assert f"setting up {checkout} on ROS 2 kilted" in result.stderr
    assert "missing: cmake" in result.stderr


def packages_python_suits() -> bool:
    probe = "import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))"
    return Path("/usr/bin/python3").exists() and subprocess.run(["/usr/bin/python3", "-c", probe]).returncode == 0


def test_an_environment_that_is_ready_is_used_at_once(checkout, bare):
    venv = checkout / ".venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "python").write_text('#!/bin/sh\necho "$SOURCED $@"\n')
    (venv / "bin" / "python").chmod(0o755)
    (venv / "polytask.sh").write_text("export SOURCED=sourced\n")
    script = (checkout / "polytask").read_text()
    signature = script[script.index("signature() (") : script.index("suitable() {")]
    header = f"root={checkout}; distribution=; kind=all; "
    text = subprocess.run(["bash", "-c", header + signature + "signature"], capture_output=True, text=True)
    (venv / "ready").write_text(text.stdout)
    assert call(checkout, bare).stdout == "sourced -m polytask_cli --help\n"
    (checkout / "requirements-docs.lock").write_text("mkdocs==1.6.1\n")  # which the documentation alone is built with
    assert call(checkout, bare).stdout == "sourced -m polytask_cli --help\n"
    (checkout / "launch").mkdir()
    (checkout / "launch" / "new.launch.yaml").touch()
    assert "setting up" in call(checkout, bare).stderr


@pytest.mark.parametrize(
    ("given", "profile"),
    [
        ({}, "fastdds_profile.xml"),
        ({"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}, "fastdds_profile.xml"),
        ({"ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET"}, "fastdds_network.xml"),
        ({"FASTDDS_DEFAULT_PROFILES_FILE": "mine.xml"}, "mine.xml"),
    ],
)
def test_nodes_are_open_to_other_machines_only_when_told_to_be(tmp_path, given, profile):
    assert Path(sourced(tmp_path, given, "FASTDDS_DEFAULT_PROFILES_FILE")).name == profile


def test_what_python_compiled_is_kept(tmp_path, checkout, bare):
    """Else each process would compile torch anew, for many seconds; images of containers forbid to keep it."""
    assert sourced(tmp_path, {"PYTHONDONTWRITEBYTECODE": "1"}, "PYTHONDONTWRITEBYTECODE") == ""
    (bare / "python3").unlink()
    (bare / "python3").write_text('#!/bin/sh\necho "kept $PYTHONDONTWRITEBYTECODE" >&2\n')
    (bare / "python3").chmod(0o755)
    assert call(checkout, bare, PYTHONDONTWRITEBYTECODE="1").stderr.splitlines()[0] == "kept "


def sourced(folder, given, name):
    """The value of a variable in a shell with the given ones that has sourced the environment's script."""
    layout = Layout(folder)
    (layout.venv / "lib" / "python3.11" / "site-packages").mkdir(parents=True)
    layout.install.mkdir()
    (layout.install / "local_setup.sh").touch()
    workspace.write_script(layout)
    said = subprocess.run(
        ["sh", "-c", f". '{layout.script}'; echo ${name}"],
        env={"PATH": os.environ["PATH"], **given},
        capture_output=True,
        text=True,
    )
    return said.stdout.strip()


def test_no_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1.2e9))
    with pytest.raises(SetupError, match=r"has 1\.2 GB free, and set-up needs 5 GB"):
        system.check_disk(Layout(tmp_path))
    layout = Layout(tmp_path)
    layout.venv.mkdir()
    write_mark(layout.packages_mark, "x")
    system.check_disk(layout)  # nothing will be installed


def test_root_installs_what_is_missing(tmp_path, monkeypatch):
    done: list[list[str]] = []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(system, "run", lambda command, *a, **k: done.append(command))
    need = system.Need("cmake", ("cmake",), lambda: bool(done))
    monkeypatch.setattr(system, "needs", lambda robot: [need])
    monkeypatch.setattr(system, "check_disk", lambda layout: None)
    system.provide(Layout(tmp_path), Step(1, 1, "test"))
    assert done == [["apt-get", "update"], ["apt-get", "install", "-y", "--no-install-recommends", "cmake"]]

    monkeypatch.setattr(system, "needs", lambda robot: [system.Need("cmake", ("cmake",), lambda: False)])
    with pytest.raises(SetupError, match="still missing after `apt-get install cmake`: cmake"):
        system.provide(Layout(tmp_path), Step(1, 1, "test"))


def test_this_machine_has_all_it_needs():
    assert [need.what for need in system.needs() if not need.present()] == []


def test_lock_file_is_complete_and_exact():
    text = (REPOSITORY / "requirements.lock").read_text()
    alone, resolved = packages.split_lock(text, distribution=False)
    assert len(resolved) == 1
    assert resolved[0].startswith("torch==")
    exact = re.compile(r"^[a-z0-9-]+==[a-z0-9.]+( ; python_version (<|>=|==) \"3\.\d+\")?$")
    assert [line for line in alone + resolved if not exact.match(line)] == []
    without, _ = packages.split_lock(text, distribution=True)
    assert [line for line in alone if line not in without] == [line for line in alone if line.startswith("ros-")]


def test_half_unpacked_packages_are_forgotten(tmp_path):
    site = tmp_path / ".venv" / "lib" / "python3.11" / "site-packages"
    for name, record in (("whole-1.0", True), ("half-1.0", False)):
        (site / f"{name}.dist-info").mkdir(parents=True)
        (site / f"{name}.dist-info" / "METADATA").touch()
        if record:
            (site / f"{name}.dist-info" / "RECORD").touch()
    (site / "~umpy").mkdir()
    packages.mend_interrupted(Layout(tmp_path))
    assert [path.name for path in site.iterdir()] == ["whole-1.0.dist-info"]


def test_a_virtual_environment_that_does_not_work_is_made_again(tmp_path):
    layout = Layout(tmp_path)
    (layout.venv / "bin").mkdir(parents=True)
    layout.python.write_text("half")
    (tmp_path / "requirements.lock").touch()
    packages.provide_venv(layout, Step(1, 1, "test"), 2)
    before = layout.python.lstat().st_mtime_ns
    assert subprocess.run([layout.python, "-m", "pip", "--version"], capture_output=True).returncode == 0
    packages.provide_venv(layout, Step(1, 1, "test"), 2)
    assert layout.python.lstat().st_mtime_ns == before, "one that works is kept"


def test_packages_that_changed_are_built_from_nothing_and_those_that_are_gone_are_removed(tmp_path, monkeypatch):
    """A checkout that is brought up to date has the links of its earlier layout, on which setuptools fails."""
    layout = Layout(tmp_path)
    keys = {"same": "1", "moved": "2", "late": "3"}
    monkeypatch.setattr(workspace, "package_keys", lambda layout: keys)
    layout.venv.mkdir()
    write_mark(layout.venv / "workspace", '{"same": "1", "moved": "before", "gone": "4"}')
    for name in ("same", "moved", "gone"):
        for folder in (layout.build, layout.install):
            (folder / name).mkdir(parents=True)
            (folder / name / "link").touch()
    output = 'printf "Starting >>> moved\\nFinished <<< moved [2.5s]\\nFailed <<< late\\n"; exit 1'
    asked = []

    def colcon(command, step, log, *, describe, **_):
        asked.extend(command[command.index("--packages-select") + 1 :])
        (layout.install / "moved").mkdir()
        run(["sh", "-c", output], step, log, describe=describe)

    monkeypatch.setattr(workspace, "run", colcon)
    with pytest.raises(SetupError, match="the workspace does not build"):
        workspace.build(layout, Step(1, 1, "test"), 2)
    assert asked == ["moved", "late"]
    links = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.glob("*/*/link"))
    assert links == ["build/same/link", "install/same/link"]
    assert read_mark(layout.venv / "workspace") == '{"same": "1", "moved": "2"}', "the next call carries on from here"


def test_wheels_are_pointed_at_the_environment(tmp_path, monkeypatch):
    layout = Layout(tmp_path)
    (layout.venv / "bin").mkdir(parents=True)
    layout.python.symlink_to(sys.executable)
    file = layout.venv / "share" / "rcl" / "cmake" / "targets.cmake"
    file.parent.mkdir(parents=True)
    built = "/opt/python/cp311-cp311"
    file.write_text(f"{built}/lib/python3.11/site-packages/x {built}/include/python3.11 {built}/bin")
    (file.parent / "binary").write_bytes(b"\xff\xfe /opt/python/cp3")
    packages.relocate_cmake(layout)
    purelib, include, prefix = file.read_text().split()
    assert "/opt/python" not in file.read_text()
    assert purelib.endswith("-packages/x")  # Debian says dist-packages
    assert Path(include, "Python.h").exists()
    assert Path(prefix).name == "bin"


def test_a_python_of_the_environment_knows_where_ros_is(tmp_path):
    """Whatever stands there already comes first, and it is added once."""
    layout = Layout(tmp_path)
    site = layout.venv / "lib" / "python3.11" / "site-packages"
    site.mkdir(parents=True)
    workspace.write_prefix(layout)
    program = (
        "import site, os, sys; site.addsitedir(os.environ['SITE']); print(sys.prefix, os.environ['AMENT_PREFIX_PATH'])"
    )
    for before, after in (("", "HERE"), ("/ws/install", "/ws/install:HERE"), (f"{sys.base_prefix}:/a", "HERE:/a")):
        env = {"PATH": os.environ["PATH"], "SITE": str(site), "AMENT_PREFIX_PATH": before}
        # -S: without the environment's own site-packages, where such a file stands already.
        result = subprocess.run([sys.executable, "-S", "-c", program], capture_output=True, text=True, env=env)
        here, value = result.stdout.split()
        assert value == after.replace("HERE", here)


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "disk is full"),
        ("WARNING: Retrying … NewConnectionError: Failed to establish a new connection", "cannot be reached"),
        ("ERROR: No matching distribution found for nope==1", "No matching distribution found for nope==1"),
    ],
)
def test_failures_of_pip_are_explained(tmp_path, output, words):
    assert words in packages.explain_pip(["Collecting numpy", output], Layout(tmp_path))


def test_commands_report_progress_and_failures(tmp_path, capfd):
    lines: list[str] = []
    run(["sh", "-c", "echo one; echo two >&2"], Step(1, 1, "x"), tmp_path / "log", describe=lines.append)
    assert lines == ["one\n", "two\n"]
    with pytest.raises(CommandFailed, match="failed with status 3") as error:
        run(["sh", "-c", "echo why; exit 3"], Step(1, 1, "x"), tmp_path / "log")
    assert error.value.output == ["why"]
    assert (tmp_path / "log").read_text().endswith("why\n")


def test_marks(tmp_path):
    assert read_mark(tmp_path / "mark") == ""
    write_mark(tmp_path / "mark", "value")
    assert read_mark(tmp_path / "mark") == "value"
    assert [path.name for path in tmp_path.iterdir()] == ["mark"]


def test_pypis_build_of_torch_can_be_asked_for(monkeypatch):
    monkeypatch.setattr(packages.urllib.request, "urlopen", lambda *_, **__: pytest.fail("an index was asked"))
    monkeypatch.setenv("POLYTASK_TORCH", "pypi")
    assert packages.choose_torch() == (False, "as POLYTASK_TORCH asks for PyPI's")
