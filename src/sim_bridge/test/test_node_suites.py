"""Every suite behind the simulator's node: the same episode as in process, with a picture on request."""

import numpy as np
import pytest
from sim_client import Client, simulator, vector

from polytask_robot_io.stamps import to_ns
from polytask_suites import EMBODIMENTS, load_suite, make_env


@pytest.mark.parametrize("suite", EMBODIMENTS)
def test_a_suite_speaks_the_topic_contract(suite):
    config = load_suite(suite)
    task = list(config.tasks)[-1]
    env = make_env(suite, task)
    size = env.action_space.shape[0]
    actions = np.random.default_rng(5).uniform(-1, 1, (10, size)).astype(np.float32)
    states = [env.reset(seed=3)[0]["state"], *(env.step(action)[0]["state"] for action in actions)]
    env.close()
    with simulator(f"suite:={suite}", "stepping_mode:=service"):
        client = Client()
        answer = client.reset(task, 3)
        assert tuple(answer.state.names) == tuple(env.state_names)
        there = [vector(answer.state)]
        for action in actions:
            answer = client.step(action, to_ns(answer.state.header.stamp))
            assert answer.ok
            there.append(vector(answer.state))
        assert np.array_equal(np.stack(there), np.stack(states))
        answer = client.reset(seed=3, want_image=True)
        assert [(image.width, image.height) for image in answer.images] == [(config.camera.width, config.camera.height)]
        client.close()
