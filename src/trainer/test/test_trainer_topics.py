"""Learning through the topics, with the trainer killed in the middle: the same expert as in process and in one go."""

import pytest
from tiny import write_demonstration, write_settings
from trainer_client import TASK, Client, node, same, wait_for

from polytask_interfaces.action import LearnTask
from polytask_interfaces.msg import Outcome
from polytask_trainer.jobs.execute import run
from polytask_trainer.jobs.spec import LearnJob


@pytest.mark.slow
def test_killed_node_takes_its_work_along_and_another_resumes_with_the_same_result(ros_domain, tmp_path):
    demonstrations, settings = write_demonstration(tmp_path / "dataset", TASK), write_settings(tmp_path)
    whole, output = tmp_path / "whole", tmp_path / TASK
    job = LearnJob(TASK, str(demonstrations), str(whole), settings=str(settings))
    assert run(job, lambda report: None, lambda: False)["finished"]
    goal = LearnTask.Goal(task=TASK, demonstrations=str(demonstrations), output=str(output))
    parameters = {"settings": settings, "through_topics": "true"}
    with node("polytask_sim_bridge.sim_bridge_node", stepping_mode="service", end_on_success="false"):
        with node("polytask_trainer.trainer_node", **parameters) as doomed:
            client = Client()
            client.ask(client.learn, goal)
            wait_for(lambda: any(f.phase == "rl" for f in client.feedback))
            doomed.kill()
            doomed.wait()
            client.close()
        with node("polytask_trainer.trainer_node", **parameters):
            client = Client()  # a new one: the old one still believes in the killed server
            _, result = client.ask(client.learn, goal)
            end = client.result(result)
            client.close()
    assert end.outcome == Outcome.SUCCEEDED, end.message
    assert same(output, whole)
