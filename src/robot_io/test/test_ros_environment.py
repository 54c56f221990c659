"""What a node says of an environment that ROS fails on."""

import os
import tempfile
from pathlib import Path

import pytest

from polytask_robot_io.ros_environment import BadEnvironment, check_domain, log_folder, provide_log_folder


@pytest.mark.parametrize("domain", ["300", "233", "abc", "-1", "+5", "1.5", "5 ", " ", "010", "0x10", "٣", "1" * 30])
def test_a_domain_that_is_none(monkeypatch, domain):
    monkeypatch.setenv("ROS_DOMAIN_ID", domain)
    with pytest.raises(BadEnvironment, match="it has to be a whole number from 0 to 232"):
        check_domain()


@pytest.mark.parametrize("domain", ["0", "7", "42", "101", "232", "", None])
def test_a_domain(monkeypatch, domain):
    monkeypatch.delenv("ROS_DOMAIN_ID", raising=False)
    if domain is not None:
        monkeypatch.setenv("ROS_DOMAIN_ID", domain)
    check_domain()


@pytest.mark.parametrize(
    ("env", "folder"),
    [
        ({"HOME": "/home/me"}, "/home/me/.ros/log"),
        ({"HOME": "/home/me", "ROS_HOME": "/srv/ros"}, "/srv/ros/log"),
        ({"HOME": "/home/me", "ROS_HOME": "~/r"}, "/home/me/r/log"),
        ({"HOME": "/home/me", "ROS_HOME": "/srv/ros", "ROS_LOG_DIR": "/var/log/ros"}, "/var/log/ros"),
        ({"ROS_LOG_DIR": "/var/log/ros"}, "/var/log/ros"),
        ({}, None),
    ],
)
def test_where_ros_writes_its_logs(monkeypatch, env, folder):
    for name in ("HOME", "ROS_HOME", "ROS_LOG_DIR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert log_folder() == (folder and Path(folder))


def test_logs_that_can_be_written_stay_where_they_are(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("ROS_LOG_DIR", str(tmp_path / "a" / "b"))
    provide_log_folder()
    assert os.environ["ROS_LOG_DIR"] == str(tmp_path / "a" / "b")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("home", ["FILE/home", "/proc/home", None])
def test_no_home_folder_to_write_in(monkeypatch, tmp_path, capsys, home):
    (tmp_path / "file").touch()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("ROS_LOG_DIR", "")  # which monkeypatch then restores
    monkeypatch.delenv("ROS_HOME", raising=False)
    monkeypatch.delenv("HOME")
    if home:
        monkeypatch.setenv("HOME", home.replace("FILE", str(tmp_path / "file")))
    provide_log_folder()
    other = tmp_path / f"polytask-ros-log-{os.getuid()}"
    assert os.environ["ROS_LOG_DIR"] == str(other)
    assert other.is_dir()
    said = capsys.readouterr().err
    assert "ROS cannot write its logs" in said
    assert f"they go to {other}" in said
    assert said.count("\n") == 1


def test_a_file_of_somebody_else_in_the_way_of_the_other_folder(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("ROS_LOG_DIR", "/proc/logs")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / f"polytask-ros-log-{os.getuid()}").symlink_to(elsewhere)
    provide_log_folder()
    assert os.environ["ROS_LOG_DIR"].startswith(f"{tmp_path}/polytask-ros-log-")
    assert Path(os.environ["ROS_LOG_DIR"]).resolve() != elsewhere
    assert os.listdir(elsewhere) == []


def test_no_place_for_logs_at_all(monkeypatch):
    monkeypatch.setenv("ROS_LOG_DIR", "/proc/logs")
    monkeypatch.setattr(tempfile, "tempdir", "/proc")
    with pytest.raises(BadEnvironment, match=r"neither in /proc/logs .* set ROS_LOG_DIR to a folder"):
        provide_log_folder()
