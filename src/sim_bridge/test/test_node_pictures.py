"""Pictures that cannot be drawn are told, while somebody wants them; all else goes on."""

import os
import subprocess
import sys

import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticStatus

from polytask_interfaces.srv import StepEpisode
from polytask_robot_io.embodiment import Embodiment
from polytask_sim_bridge.sim_bridge_node import SimBridgeNode
from polytask_suites import make_env

WHAT = "pictures not drawn"


@pytest.fixture
def start(ros_domain, monkeypatch):
    """``start("name:=value", …)``: the node, as if somebody listened to its camera."""
    made = []

    def starting(*parameters, render=None):
        rclpy.init(args=["--ros-args", *(word for parameter in parameters for word in ("-p", parameter))])

        def make(suite, task):
            env = make_env(suite, task)
            if render is not None:
                env.render = render
            return env

        node = SimBridgeNode(make)
        made.append(node)
        monkeypatch.setattr(node.output, "pictures_wanted", lambda: True)
        return node

    yield starting
    for node in made:
        node.close()
        node.destroy_node()
    rclpy.try_shutdown()


def broken(*_):
    raise RuntimeError("no GL")


def told(node):
    node.publish_pictures(node.stepping_mode.stamp_ns)
    return node.diagnostics._dropped[WHAT][1]


def test_a_renderer_that_does_not_work_is_told(start):
    node = start("stepping_mode:=lock_step", render=broken)
    assert told(node) == "no picture can be drawn: RuntimeError('no GL'); see './polytask doctor'"
    assert node.diagnostics._state[0] == DiagnosticStatus.ERROR
    told(node)
    assert node.diagnostics.count(WHAT) >= 2


def test_one_that_fails_later_is_told_and_ends_nothing(start):
    node = start("stepping_mode:=service")
    node.publish_pictures(node.stepping_mode.stamp_ns)
    assert node.diagnostics.count(WHAT) == 0
    node.runner._picture, node.runner.env.render = None, broken
    request = StepEpisode.Request(want_image=True)
    request.command.values = [0.0, 0.0, 0.0, 0.0]
    answer = node._step(request, StepEpisode.Response())
    assert (answer.ok, answer.status.step) == (False, 1)
    assert "no picture can be drawn: RuntimeError('no GL')" in answer.message
    assert "no GL" in told(node)


def test_pictures_that_are_switched_off_are_told(start):
    node = start("stepping_mode:=lock_step", "render:=off")
    assert told(node) == "pictures are switched off: set parameter 'render' to auto"


def test_a_picture_of_another_size_is_told(start, tmp_path):
    path = tmp_path / "other.yaml"
    path.write_text(Embodiment.load("xarm7_tabletop").to_yaml().replace("width: 84", "width: 100"))
    node = start("stepping_mode:=lock_step", f"embodiment:={path}")
    assert "declares 100x84 pixels for 'camera', the suite draws 84x84" in told(node)


def test_two_cameras_are_refused(start, tmp_path):
    text = Embodiment.load("xarm7_tabletop").to_yaml()
    camera = text[text.index("- name: camera") : text.index("command:")]
    path = tmp_path / "two.yaml"
    path.write_text(text.replace(camera, camera + camera.replace("camera", "wrist")))
    with pytest.raises(ValueError, match=r"declares 2 cameras \(camera, wrist\), but suite 'tabletop' draws one"):
        start(f"embodiment:={path}")


def test_a_graphics_library_that_is_not_there_is_one_sentence(ros_domain):
    program = [sys.executable, "-m", "polytask_sim_bridge.sim_bridge_node"]
    env = os.environ | {"MUJOCO_GL": "nonsense"}
    done = subprocess.run(program, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "suite 'tabletop' cannot be loaded with MUJOCO_GL=nonsense" in done.stderr
    assert "Traceback" not in done.stderr
