"""How an executable starts: quiet at a signal while it imports, and not left behind by its launcher."""

import os
import signal
import subprocess
import sys
import time

import pytest

from polytask_robot_io.starting import LAUNCHER

HEAVY = """
import time
print("importing", flush=True)
time.sleep(60)

def main():
    pass
"""
NODE = """
import os, time

def main():
    print("up", os.getpid(), flush=True)
    time.sleep(60)
"""
UNWOUND = """
import time

def main():
    try:
        print("up", flush=True)
        time.sleep(60)
    finally:
        print("put back", flush=True)
"""
RUN = "from polytask_robot_io.starting import executable; executable('toy')()"
SHELL = """
import os, subprocess, sys, time
if sys.argv[1] == "launcher":
    os.environ["{LAUNCHER}"] = str(os.getpid())
subprocess.Popen([sys.executable, "-c", sys.argv[2]])
time.sleep(60)
""".replace("{LAUNCHER}", LAUNCHER)


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """Writes the module that the executable runs."""
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.delenv(LAUNCHER, raising=False)
    return lambda program: (tmp_path / "toy.py").write_text(program)


def start(*command, **env):
    return subprocess.Popen(
        [sys.executable, "-c", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **env},
    )


def ends(pid, within):
    until = time.monotonic() + within
    while time.monotonic() < until:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_it_imports_ends_it_quietly(toy, number):
    toy(HEAVY)
    process = start(RUN)
    assert process.stdout.readline() == "importing\n"
    process.send_signal(number)
    assert process.communicate(timeout=60) == ("", "")
    assert process.returncode == 0


def test_a_signal_before_the_node_looks_after_signals_unwinds_it(toy):
    """A terminal in raw mode is put back, for one."""
    toy(UNWOUND)
    process = start(RUN)
    assert process.stdout.readline() == "up\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60) == ("put back\n", "")
    assert process.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_it_ends_with_its_launcher(toy, number):
    toy(NODE)
    launcher = start(SHELL, "launcher", RUN)
    node = int(launcher.stdout.readline().split()[1])
    launcher.send_signal(number)
    launcher.wait()
    assert ends(node, within=10)


def test_without_a_launcher_it_outlives_who_started_it(toy):
    """As with nohup, setsid, or `&` in a terminal that is closed later."""
    toy(NODE)
    shell = start(SHELL, "shell", RUN)
    node = int(shell.stdout.readline().split()[1])
    shell.kill()
    shell.wait()
    try:
        assert not ends(node, within=0.5)
    finally:
        os.kill(node, signal.SIGKILL)


def test_a_shell_that_a_launcher_started_is_not_the_launcher(toy):
    """This test is the launcher, and it lives; between it and the node stands a terminal, which is closed."""
    toy(NODE)
    shell = start(SHELL, "shell", RUN, **{LAUNCHER: str(os.getpid())})
    node = int(shell.stdout.readline().split()[1])
    shell.kill()
    shell.wait()
    try:
        assert not ends(node, within=0.5)
    finally:
        os.kill(node, signal.SIGKILL)


def test_a_launcher_that_is_gone_before_the_node_could_ask(toy):
    toy(NODE)
    gone = subprocess.Popen(["true"])
    gone.wait()
    out, err = start(RUN, **{LAUNCHER: str(gone.pid)}).communicate(timeout=60)
    assert out == ""
    assert err == f"process {gone.pid}, which started this one, is gone; this one ends too\n"
