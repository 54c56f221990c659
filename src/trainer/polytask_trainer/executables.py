"""The executables of this package; see :func:`polytask_robot_io.starting.executable`."""

from polytask_robot_io.starting import executable

trainer = executable("polytask_trainer.trainer_node")
