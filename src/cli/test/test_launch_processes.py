"""The runner with real processes: output, crashes, and that nothing is left after Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

RUN = """
import sys
from pathlib import Path
from polytask_cli.launch_runner import LaunchError, run_launch_file
try:
    sys.exit(run_launch_file(Path(sys.argv[1]), {}))
except LaunchError as error:
    sys.exit(f"refused: {error}")
"""

OBEDIENT = "import time; print('up', flush=True); time.sleep(60)"
STUBBORN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
program = 'import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); time.sleep(60)'
child = subprocess.Popen([sys.executable, '-c', program])
print('up', os.getpid(), child.pid, flush=True)
time.sleep(60)
"""


def launch(folder: Path, programs: dict[str, str], extra: str = "") -> subprocess.Popen[str]:
    """Start the runner on nodes that are Python programs."""
    text = "launch:\n"
    for name, program in programs.items():
        script = folder / f"{name}.py"
        script.write_text(program)
        text += f"- node:\n    exec: {sys.executable}\n    name: {name}\n    args: {script}\n{extra}"
    path = folder / "test.launch.yaml"
    path.write_text(text)
    return subprocess.Popen(
        [sys.executable, "-c", RUN, str(path)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def read_until(process: subprocess.Popen[str], *wanted: str) -> list[str]:
    lines: list[str] = []
    assert process.stdout is not None
    while not all(any(word in line for line in lines) for word in wanted):
        line = process.stdout.readline()
        assert line, f"ended without {wanted}: {lines}"
        lines.append(line)
    return lines


def gone(pid: int) -> bool:
    """Whether no such process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_output_is_labelled_and_all_end_well(tmp_path):
    process = launch(tmp_path, {"one": "print('hello')", "second": "import sys; sys.stderr.write('oh\\n')"})
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "[one]    hello" in output
    assert "[second] oh" in output


def test_a_crash_is_said_and_counts(tmp_path):
    process = launch(
        tmp_path, {"good": "import time; time.sleep(0.5); print('still here')", "bad": "raise SystemExit(3)"}
    )
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "[bad]  crashed: exit status 3" in output
    assert "still here" in output


@pytest.mark.timed
def test_on_exit_shutdown_ends_the_others(tmp_path):
    (tmp_path / "a").mkdir()
    process = launch(tmp_path, {"waits": OBEDIENT, "ends": "print('bye')"}, "    on_exit: shutdown\n")
    began = time.monotonic()
    process.communicate(timeout=60)
    assert time.monotonic() - began < 5
    assert process.returncode == 0


@pytest.mark.timed
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_everything_at_once(tmp_path, number):
    process = launch(tmp_path, {"one": OBEDIENT, "two": OBEDIENT})
    read_until(process, "[one] up", "[two] up")
    began = time.monotonic()
    process.send_signal(number)
    process.communicate(timeout=60)
    assert time.monotonic() - began < 2
    assert process.returncode == 0


@pytest.mark.timed
def test_the_stubborn_and_their_children_are_gone_within_five_seconds(tmp_path):
    process = launch(tmp_path, {"stubborn": STUBBORN})
    [line] = [line for line in read_until(process, "up ") if "up " in line]
    pids = [int(word) for word in line.split("up ")[1].split()]
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert time.monotonic() - began < 5.0
    assert all(gone(pid) for pid in pids)
    assert "does not stop; sending SIGTERM" in output
    assert "does not stop; sending SIGKILL" in output
    assert process.returncode == 1


@pytest.mark.timed
def test_nodes_end_when_the_runner_is_killed(tmp_path):
    process = launch(tmp_path, {"one": "import os, time; print('up', os.getpid(), flush=True); time.sleep(60)"})
    [line] = [line for line in read_until(process, "up ") if "up " in line]
    pid = int(line.split("up ")[1])
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    until = time.monotonic() + 5
    while not gone(pid) and time.monotonic() < until:
        time.sleep(0.05)
    assert gone(pid)


@pytest.mark.timed
def test_an_executable_that_cannot_start_ends_all(tmp_path):
    path = tmp_path / "test.launch.yaml"
    path.write_text("launch:\n- node: {exec: sleep, args: '30'}\n- node: {exec: /no/such/program}\n")
    began = time.monotonic()
    result = subprocess.run([sys.executable, "-c", RUN, str(path)], capture_output=True, text=True, timeout=60)
    assert time.monotonic() - began < 10
    assert result.returncode != 0
    assert "refused: cannot start /no/such/program" in result.stderr
