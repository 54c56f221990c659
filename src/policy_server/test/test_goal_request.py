"""What a goal's message asks for, and which goal of the policy it becomes."""

import numpy as np
import pytest
from sensor_msgs.msg import Image

from polytask_interfaces.action import ExecuteTask
from polytask_policy_server.goal_encoding import encode
from polytask_policy_server.goal_request import BadGoal, GoalRequest, ImageGoal, TaskGoal, WordsGoal, read_request


class Policy:
    """Gives back what it is asked."""

    def goal_from_words(self, words):
        return "words", words

    def goal_from_task(self, task):
        return "task", task

    def goal_from_image(self, picture):
        return "image", picture


def test_a_goal_is_read_as_what_it_is():
    assert read_request(ExecuteTask.Goal(words=" go ", timeout=2.5), 30.0) == GoalRequest(WordsGoal(" go "), 2.5)
    assert read_request(ExecuteTask.Goal(task="go"), 30.0) == GoalRequest(TaskGoal("go"), 30.0)
    image = Image(width=1)
    request = read_request(ExecuteTask.Goal(image=image), 30.0)
    assert isinstance(request.goal, ImageGoal)
    assert request.goal.image == image


@pytest.mark.parametrize(
    ("goal", "reason"),
    [
        ({}, "the goal is empty"),
        ({"words": " ", "task": "go"}, "the goal has words and task at once"),
        ({"words": "go", "image": Image(encoding="rgb8"), "task": "go"}, "words and image and task at once"),
        ({"task": "go", "timeout": -1.0}, "timeout is -1.0 s"),
        ({"task": "go", "timeout": float("nan")}, "timeout is nan s"),
        ({"task": "go", "timeout": 86401.0}, "must lie within 0 .* and 86400 s"),
    ],
)
def test_a_goal_that_cannot_be_meant_is_refused_with_the_reason(goal, reason):
    with pytest.raises(BadGoal, match=reason):
        read_request(ExecuteTask.Goal(**goal), 30.0)


def test_each_kind_is_encoded_by_the_policy():
    assert encode(Policy(), WordsGoal("open it")) == ("words", "open it")
    assert encode(Policy(), TaskGoal("drawer-open")) == ("task", "drawer-open")
    image = Image(height=1, width=2, encoding="rgb8", step=6, data=[1, 2, 3, 4, 5, 6])
    kind, picture = encode(Policy(), ImageGoal(image))
    assert kind == "image"
    np.testing.assert_array_equal(picture, np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8))


def test_a_picture_that_cannot_be_decoded_is_a_bad_goal():
    with pytest.raises(BadGoal, match="the goal's picture cannot be used: "):
        encode(Policy(), ImageGoal(Image(height=1, width=2, encoding="rgb8", step=6, data=[1])))
