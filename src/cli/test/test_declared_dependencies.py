"""Every package declares what it imports: in package.xml by rosdep's key where there is one, else in setup.py."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree

import pytest

SOURCES = Path(__file__).resolve().parents[2]
PACKAGES = sorted(path.parents[1] for path in SOURCES.glob("*/polytask_*/__init__.py"))
ROSDEP = {
    "PIL": "python3-pil",
    "cv2": "python3-opencv",
    "gymnasium": "python3-gymnasium-pip",
    "gymnasium_robotics": "python3-gymnasium-robotics-pip",
    "h5py": "python3-h5py",
    "jinja2": "python3-jinja2",
    "matplotlib": "python3-matplotlib",
    "mujoco": "python3-mujoco-pip",
    "numpy": "python3-numpy",
    "packaging": "python3-packaging",
    "pytest": "python3-pytest",
    "rich": "python3-rich",
    "rosbags": "python3-rosbags-pip",
    "scipy": "python3-scipy",
    "tensorboard": "python3-tensorboard-pip",
    "torch": "python3-torch",
    "typer": "python3-typer",
    "yaml": "python3-yaml",
}
"""Keys in rosdep/python.yaml of ros/rosdistro, by what is imported."""
PYPI = {
    "dm_control": "dm-control",
    "fast_simplification": "fast-simplification",
    "gym_xarm": "gym-xarm",
    "mcap": "mcap",
    "mcap_ros2": "mcap-ros2-support",
    "metaworld": "metaworld",
    "ot": "POT",
    "rliable": "rliable",
    "safetensors": "safetensors",
    "sentence_transformers": "sentence-transformers",
    "zstandard": "zstandard",
}
"""What rosdep has no key for, by what is imported."""
WHERE_THERE_IS_ONE = {"launch", "launch_ros", "triton"}
"""Taken where a ROS 2 distribution or torch has brought it, and done without elsewhere."""

OF_THE_TYPE_CHECKER = {"_typeshed"}
"""Stubs that no program imports."""


def imported(files: Iterable[Path]) -> set[str]:
    """Names of packages, of all imports wherever they stand."""
    found: set[str] = set()
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                found.update(alias.name.split(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                found.add(node.module.split(".")[0])
            elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("find_spec", "import_module")):
                found.update(str(text.value).split(".")[0] for text in node.args[:1] if isinstance(text, ast.Constant))
    return found - set(sys.stdlib_module_names) - WHERE_THERE_IS_ONE - OF_THE_TYPE_CHECKER


def declared(package: Path, *tags: str) -> set[str]:
    """What package.xml and setup.py name; with ``test_depend``, also what only tests need."""
    manifest = ElementTree.parse(package / "package.xml").getroot()
    names = {str(element.text) for element in manifest if element.tag in tags}
    for call in ast.walk(ast.parse((package / "setup.py").read_text())):
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "setup":
            given = {keyword.arg: keyword.value for keyword in call.keywords}
            names |= set(ast.literal_eval(given["install_requires"]))
            if "test_depend" in tags:
                names |= set(ast.literal_eval(given["extras_require"])["test"])
    return names


def missing(names: set[str], known: set[str]) -> set[str]:
    return {name for name in names if ROSDEP.get(name, PYPI.get(name, name)) not in known}


def test_imports_are_found_wherever_they_stand(tmp_path):
    (tmp_path / "a.py").write_text(
        "import os, torch.nn as nn\nfrom . import b\nif 0:\n    def f():\n        from yaml import load\n"
        "importlib.util.find_spec('gym_xarm')\n"
    )
    assert imported([tmp_path / "a.py"]) == {"torch", "yaml", "gym_xarm"}


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_what_the_code_imports(package):
    names = imported(package.glob("polytask_*/**/*.py")) - {f"polytask_{package.name}"}
    assert names, "nothing was found"
    assert missing(names, declared(package, "depend", "exec_depend")) == set()


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_what_the_tests_import(package):
    files = list(package.glob("test/**/*.py"))
    names = imported(files) - {file.stem for file in files} - {f"polytask_{package.name}"}
    assert "pytest" in names
    assert missing(names, declared(package, "depend", "exec_depend", "test_depend")) == set()


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_what_rosdep_has_a_key_for_is_asked_of_rosdep(package):
    """So that a workspace gets it from the distribution; setup.py names only the rest (pytest: colcon looks there)."""
    names = declared(package, "depend", "exec_depend", "test_depend")
    manifest = {str(element.text) for element in ElementTree.parse(package / "package.xml").getroot()}
    assert names - manifest - set(PYPI.values()) - {"setuptools", "pytest"} == set()


def test_colcon_tests_with_pytest():
    for package in PACKAGES:
        assert "pytest" in declared(package, "test_depend"), package.name
