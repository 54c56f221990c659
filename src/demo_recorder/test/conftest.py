"""A domain of its own for the tests that need nodes."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(scope="session", autouse=True)
def _own_domain() -> None:
    """Nodes of this test run hear nobody else's."""
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    os.environ["ROS_DOMAIN_ID"] = str(102 + os.getpid() % 100)
