"""Stacks of nodes for the system tests, and their output in the report of a test that fails."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import stacks
from graph import Graph
from stacks import Stack

SHOWN = 60
"""Lines of each stack's output in the report of a failure."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Add what the nodes printed."""
    report = yield
    if report.failed:
        for stack in stacks.running:
            lines = stack.output().splitlines()
            head = f"nodes of {stack.name}, last {SHOWN} of {len(lines)} lines"
            report.sections.append((head, "\n".join(lines[-SHOWN:])))
    return report


def _starting(folder: Path) -> Iterator[Callable[..., Stack]]:
    started: list[Stack] = []

    def up(launch: str, **arguments: object) -> Stack:
        started.append(Stack(folder, launch, **arguments))
        return started[-1]

    yield up
    errors = []
    for stack in reversed(started):
        if stack in stacks.running:
            try:
                stack.close()
            except Exception as error:
                errors.append(f"{stack.name}: {error}")
    assert not errors, errors


@pytest.fixture
def up(ros_domain: int, tmp_path: Path) -> Iterator[Callable[..., Stack]]:
    """``up("simulation", stepping_mode="lock_step")`` starts a launch file; ended with the test."""
    yield from _starting(tmp_path)


@pytest.fixture(scope="module")
def module_up(module_ros_domain: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Stack]]:
    """The same for the tests of a module together."""
    yield from _starting(tmp_path_factory.mktemp("stacks"))


@pytest.fixture
def graph(ros_domain: int) -> Iterator[Graph]:
    """A node of the test's own."""
    own = Graph()
    yield own
    own.close()


@pytest.fixture(scope="module")
def module_graph(module_ros_domain: int) -> Iterator[Graph]:
    """The same for the tests of a module together."""
    own = Graph()
    yield own
    own.close()


@pytest.fixture(scope="session")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoint of a unified policy that has learned nothing: it fits the robot, and that is all."""
    import torch

    from polytask_policy.goal_networks import GoalConditionedActor, GoalEncoder
    from polytask_policy.text import EMBEDDING_SIZE
    from polytask_policy.unified import UnifiedPolicy
    from polytask_robot_io.embodiment import Embodiment
    from polytask_trainer.experts.spec import describe

    torch.manual_seed(0)
    description = describe("tabletop", "reach", Embodiment.load("xarm7_tabletop"))
    actor = GoalConditionedActor(len(description.state_names), len(description.action_names), (16,))
    examples = {
        "sentences": torch.nn.functional.normalize(torch.randn(1, EMBEDDING_SIZE), dim=1),
        "sentence_tasks": torch.zeros(1, dtype=torch.int64),
        "pictures": torch.zeros((1, 3, 42, 42), dtype=torch.uint8),
        "picture_tasks": torch.zeros(1, dtype=torch.int64),
    }
    folder = tmp_path_factory.mktemp("untrained")
    UnifiedPolicy(actor, GoalEncoder(EMBEDDING_SIZE, 1), description, examples).save(folder)
    return folder
