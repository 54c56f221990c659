"""The executables of this package; see :func:`polytask_robot_io.starting.executable`."""

from polytask_robot_io.starting import executable

demo_recorder = executable("polytask_demo_recorder.recording.recorder_node")
keyboard_teleop = executable("polytask_demo_recorder.teleop.keyboard_teleop_node")
