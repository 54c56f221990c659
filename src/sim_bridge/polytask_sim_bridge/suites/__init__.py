"""Task suites as Gymnasium environments; importing this registers ``tabletop/<task>`` and ``metaworld/<task>``."""

from polytask_sim_bridge.suites.registry import SUITES, Expert, make_env, register_suites, scripted_expert
from polytask_sim_bridge.suites.task import SuiteConfig, SuiteError, Task, load_suite

__all__ = ["SUITES", "Expert", "SuiteConfig", "SuiteError", "Task", "load_suite", "make_env", "scripted_expert"]

register_suites()
