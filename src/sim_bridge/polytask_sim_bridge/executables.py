"""The executables of this package; see :func:`polytask_robot_io.starting.executable`."""

from polytask_robot_io.starting import executable

sim_bridge = executable("polytask_sim_bridge.sim_bridge_node")
scripted_expert = executable("polytask_sim_bridge.scripted_expert_node")
