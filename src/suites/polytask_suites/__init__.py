"""Task suites as Gymnasium environments; importing this registers each task as ``<suite>/<task>``."""

import os

from polytask_suites.batch import BatchEnv
from polytask_suites.registry import (
    BATCHED,
    EMBODIMENTS,
    SUITES,
    Expert,
    make_batch,
    make_env,
    register_suites,
    scripted_expert,
)
from polytask_suites.task import SuiteConfig, SuiteError, Task, load_suite

__all__ = [
    "BATCHED",
    "EMBODIMENTS",
    "SUITES",
    "BatchEnv",
    "Expert",
    "SuiteConfig",
    "SuiteError",
    "Task",
    "load_suite",
    "make_batch",
    "make_env",
    "scripted_expert",
]

# Without a display MuJoCo draws through EGL; it reads this when it is first imported, which no line above does.
os.environ.setdefault("MUJOCO_GL", "egl")

register_suites()
