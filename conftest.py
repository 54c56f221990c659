"""For all tests: each gets a ROS domain of its own, on this machine only; a busy machine is no judge of times."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

# `colcon test` puts only what the tested package depends on into the path.
sys.path.append(str(Path(__file__).parent / "src" / "cli"))

from polytask_cli.processors import BUSY, Processors

# Settings that every process of the tests shares, also those that a test starts.
os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
os.environ.setdefault("MUJOCO_GL", "egl")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("FASTDDS_DEFAULT_PROFILES_FILE", str(Path(__file__).parent / "config" / "fastdds_profile.xml"))
prefixes = os.environ.get("AMENT_PREFIX_PATH", "").split(":")
if not any(Path(prefix, "share", "polytask_bringup").is_dir() for prefix in prefixes):
    # Under `colcon test` of one package, which does not depend on bringup.
    os.environ.setdefault("POLYTASK_CONFIG", str(Path(__file__).parent / "config"))

# A shell that runs the tests in the background has SIGINT ignored, and what they start would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

DOMAINS = range(1, 51)  # the demo's own are 51 to 100; higher ones collide with ephemeral ports


def pytest_sessionstart(session: pytest.Session) -> None:
    """Set free what killed nodes of earlier runs left: at 32 MB each, some hundred runs would fill the memory."""
    if not hasattr(session.config, "workerinput"):
        from polytask_cli.shared_memory import remove_leftovers

        remove_leftovers()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Tests that compare times say that they could not judge, where other programs had the processors meanwhile."""
    if item.get_closest_marker("alone") is None and item.get_closest_marker("timed") is None:
        return (yield)
    before = Processors.now()
    try:
        return (yield)
    except (AssertionError, TimeoutError, subprocess.TimeoutExpired) as error:
        if (others := Processors.now().others_since(before)) <= BUSY:
            raise
        said = (str(error).splitlines() or [""])[0]
        pytest.skip(f"could not judge: other programs had {others:.0%} of the processors ({said})")


@contextmanager
def claimed_domain() -> Iterator[int]:
    """A ROS_DOMAIN_ID that nobody else uses, set in the environment.

    Claimed by a lock on a file, which holds among all test runs on this machine and is released even by a killed one.
    """
    folder = Path(tempfile.gettempdir()) / f"polytask-domains-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    start = os.getpid() % len(DOMAINS)
    for domain in [*DOMAINS[start:], *DOMAINS[:start]]:
        with (folder / str(domain)).open("w") as file, pytest.MonkeyPatch.context() as environment:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            environment.setenv("ROS_DOMAIN_ID", str(domain))
            yield domain
            return
    raise RuntimeError(f"all ROS domains {DOMAINS[0]} to {DOMAINS[-1]} are taken by other tests")


@pytest.fixture
def ros_domain() -> Iterator[int]:
    """ROS_DOMAIN_ID for as long as the test runs."""
    with claimed_domain() as domain:
        yield domain


@pytest.fixture(scope="module")
def module_ros_domain() -> Iterator[int]:
    """ROS_DOMAIN_ID for all tests of a module that share nodes; such a module overrides ``ros_domain`` with it."""
    with claimed_domain() as domain:
        yield domain


@pytest.fixture(autouse=True)
def _own_domain(ros_domain: int) -> None:
    """Give every test its own domain, whether it asks for it or not: a forgotten one would hear its neighbours."""
