"""The executables of this package; see :func:`polytask_robot_io.starting.executable`."""

from polytask_robot_io.starting import executable

visualizer = executable("polytask_visualization.visualizer_node")
