"""The doctor finds this machine well, and says what to do where it is not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from polytask_cli.doctor import examination


def test_this_machine_is_well(capsys):
    assert examination.examine() == 0
    output = capsys.readouterr().out
    assert output.count("ok  ") == len(examination.CHECKS)
    assert "84x84 picture in" in output
    assert "10 of 10 pictures of 1 MB arrived" in output


def test_what_is_ill_comes_with_a_remedy(monkeypatch, capsys):
    monkeypatch.setenv("MUJOCO_GL", "nonsense")
    monkeypatch.setenv("FASTDDS_DEFAULT_PROFILES_FILE", "/no/such/profile.xml")
    checks = [check for check in examination.CHECKS if check[0] in ("rendering", "ROS 2")]
    monkeypatch.setattr(examination, "CHECKS", checks)
    assert examination.examine() == 1
    output = capsys.readouterr().out
    assert output.count("BAD ") == 2
    assert "libgl1-mesa-dri" in output
    assert "unset FASTDDS_DEFAULT_PROFILES_FILE" in output


@pytest.mark.parametrize("domain", ["300", "abc", "-1"])
def test_a_wrong_domain_is_said_and_the_rest_is_looked_at(domain, monkeypatch, capsys):
    monkeypatch.setenv("ROS_DOMAIN_ID", domain)
    names = ("machine", "ROS 2", "network", "topics")
    monkeypatch.setattr(examination, "CHECKS", [check for check in examination.CHECKS if check[0] in names])
    assert examination.examine() == 1
    output = capsys.readouterr().out
    assert output.count(f"ROS_DOMAIN_ID is '{domain}'; it has to be a whole number from 0 to 232") == 3
    assert "cores" in output
    assert "this is a bug" not in output


NETWORK = """
import os
from polytask_cli.doctor.examination import network
from polytask_cli.doctor.network import listening
print(sorted(listening(int(os.environ["ROS_DOMAIN_ID"]))))
found = network()
print(found.good, found.text)
"""


@pytest.mark.parametrize(
    ("profile", "chosen", "addresses", "judged"),
    [
        ("fastdds_profile.xml", "LOCALHOST", "['127.0.0.1']", "True nodes listen on this machine only;"),
        ("fastdds_profile.xml", "SUBNET", "['127.0.0.1']", "False nodes listen on this machine only, though"),
        ("fastdds_network.xml", "LOCALHOST", "['0.0.0.0']", "False whoever reaches this machine over the network"),
        ("fastdds_network.xml", "SUBNET", "['0.0.0.0']", "True whoever reaches this machine over the network"),
    ],
)
def test_nodes_listen_where_the_profile_says(ros_domain, profile, chosen, addresses, judged):
    path = Path(os.environ["FASTDDS_DEFAULT_PROFILES_FILE"]).with_name(profile)
    env = os.environ | {"FASTDDS_DEFAULT_PROFILES_FILE": str(path), "ROS_AUTOMATIC_DISCOVERY_RANGE": chosen}
    done = subprocess.run([sys.executable, "-c", NETWORK], env=env, capture_output=True, text=True, timeout=60)
    first, second = done.stdout.splitlines()
    assert first == addresses
    assert second.startswith(judged)


def test_a_gpu_that_torch_does_not_find_is_ill(monkeypatch, tmp_path):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr(examination, "NVIDIA", tmp_path / "none")
    finding = examination.accelerator()
    assert finding.good
    assert "computes on the CPU" in finding.text
    monkeypatch.setattr(examination, "NVIDIA", tmp_path)
    finding = examination.accelerator()
    assert not finding.good
    assert "finds no GPU" in finding.text


def test_a_check_that_fails_itself_does_not_end_the_examination(monkeypatch, capsys):
    def broken() -> examination.Finding:
        raise OSError("oh")

    monkeypatch.setattr(examination, "CHECKS", (("broken", broken), ("machine", examination.machine)))
    assert examination.examine() == 1
    assert "OSError: oh" in capsys.readouterr().out


@pytest.mark.parametrize("check", [name for name, _ in examination.CHECKS])
def test_every_check_is_documented(check):
    assert dict(examination.CHECKS)[check].__doc__
