"""The executables of this package; see :func:`polytask_robot_io.starting.executable`."""

from polytask_robot_io.starting import executable

policy_server = executable("polytask_policy_server.policy_server_node")
