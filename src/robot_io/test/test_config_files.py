"""Where configuration is found, and what is said when it is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from polytask_robot_io.config_files import NoConfiguration, config_file, config_files


@pytest.fixture
def prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("POLYTASK_CONFIG", raising=False)
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    return tmp_path


def register(prefix: Path, package: str, *names: str) -> Path:
    """Install a package with embodiments; gives their folder."""
    for kind in ("packages", "polytask_config"):
        index = prefix / "share" / "ament_index" / "resource_index" / kind
        index.mkdir(parents=True, exist_ok=True)
        (index / package).touch()
    folder = prefix / "share" / package / "config" / "embodiments"
    folder.mkdir(parents=True)
    for name in names:
        (folder / f"{name}.yaml").touch()
    return folder


def test_packages_add_to_each_other_and_the_first_of_two_files_counts(prefix):
    ours, theirs = register(prefix, "a_robot", "own", "shared"), register(prefix, "polytask_bringup", "shared", "xarm7")
    assert config_files("embodiments") == {
        "own": ours / "own.yaml",
        "shared": ours / "shared.yaml",
        "xarm7": theirs / "xarm7.yaml",
    }
    assert config_file("embodiments", "xarm7") == theirs / "xarm7.yaml"


def test_a_folder_that_is_named_is_the_only_one(prefix, tmp_path, monkeypatch):
    register(prefix, "polytask_bringup", "xarm7")
    (tmp_path / "own" / "embodiments").mkdir(parents=True)
    (tmp_path / "own" / "embodiments" / "toy.yaml").touch()
    monkeypatch.setenv("POLYTASK_CONFIG", str(tmp_path / "own"))
    assert list(config_files("embodiments")) == ["toy"]


def test_a_missing_file_is_said_with_those_that_are_there(prefix):
    register(prefix, "polytask_bringup", "xarm7")
    with pytest.raises(NoConfiguration, match=r"there is no config/embodiments/toy\.yaml; there are: xarm7"):
        config_file("embodiments", "toy")
    with pytest.raises(NoConfiguration, match=r"there is no config/trainer/toy\.yaml; there are: none"):
        config_file("trainer", "toy")


def test_a_workspace_without_configuration_is_said_with_the_package_that_has_it(prefix, monkeypatch):
    with pytest.raises(NoConfiguration, match="in which polytask_bringup is installed"):
        config_files("trainer")
    monkeypatch.delenv("AMENT_PREFIX_PATH")
    with pytest.raises(NoConfiguration, match="in which polytask_bringup is installed"):
        config_files("trainer")


def test_it_refuses_as_a_wrong_value_does():
    """So jobs and actions that refuse a ValueError give its reason."""
    assert issubclass(NoConfiguration, ValueError)
