"""MuJoCo chooses its OpenGL when it is first imported, which a test module may do before the suites."""

import os

os.environ.setdefault("MUJOCO_GL", "egl")
