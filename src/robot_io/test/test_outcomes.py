"""The numbers that code without ROS uses are those of the messages."""

import re
from pathlib import Path

import pytest

from polytask_interfaces.action import Distill, ExecuteTask, LearnTask, RecordEpisodes
from polytask_interfaces.msg import EpisodeStatus
from polytask_interfaces.msg import Outcome as OutcomeMessage
from polytask_robot_io.outcomes import Outcome, TerminationReason


def constants(message):
    """Name and number of each constant of a message."""
    found = {name: getattr(message, name) for name in dir(message) if name.isupper()}
    return {name: number for name, number in found.items() if isinstance(number, int)}


def test_outcomes_are_those_of_the_message():
    assert constants(OutcomeMessage) == {outcome.name: outcome.value for outcome in Outcome}


def test_ends_of_episodes_are_those_of_the_message():
    assert constants(EpisodeStatus) == {reason.name: reason.value for reason in TerminationReason}


@pytest.mark.parametrize("action", [Distill, ExecuteTask, LearnTask, RecordEpisodes])
def test_every_action_has_the_one_numbering(action):
    assert constants(action.Result) == {}, "an action's own constants would be another numbering"
    assert action.Result(outcome=Outcome.CANCELLED).outcome == 2 == OutcomeMessage.CANCELLED


def test_the_documented_table_is_that_of_the_message():
    page = (Path(__file__).parents[3] / "docs" / "reference" / "topics.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| `([A-Z_]+)` \|", page, re.MULTILINE)
    assert {name: int(number) for number, name in rows} == constants(OutcomeMessage)
