"""One driver at a time, without ROS."""

from polytask_sim_bridge.drivers import OneDriver, Publisher

ONE, TWO = b"1" * 16, b"2" * 16
BOTH = [Publisher(ONE, "/policy_server"), Publisher(TWO, "/robot/keyboard_teleop")]


def test_the_first_one_drives_until_it_falls_silent():
    driver = OneDriver(0.25, lambda: BOTH)
    assert driver.why_not(TWO, 0.0) == ""
    driver.drives(TWO, 0.0)
    assert driver.why_not(TWO, 0.1) == ""
    driver.drives(TWO, 0.1)
    assert driver.why_not(ONE, 0.35) == (
        "one comes from '/policy_server' while '/robot/keyboard_teleop' drives, of 2 publishers of commands "
        "(/policy_server, /robot/keyboard_teleop); stop all but one, or wait until it has been silent for 0.25 s"
    )
    assert driver.why_not(ONE, 0.36) == ""


def test_release_lets_the_next_one_drive():
    driver = OneDriver(0.25, lambda: BOTH)
    driver.drives(ONE, 0.0)
    driver.release()
    assert driver.why_not(TWO, 0.01) == ""


def test_one_that_has_left_holds_nothing():
    driver = OneDriver(3.0, lambda: BOTH[1:])
    driver.drives(ONE, 0.0)
    assert driver.why_not(TWO, 0.1) == ""


def test_one_that_is_not_known_yet_is_refused_too():
    driver = OneDriver(3.0, lambda: BOTH[:1])
    driver.drives(ONE, 0.0)
    assert "one comes from 'a node unknown' while '/policy_server' drives" in driver.why_not(TWO, 0.1)


def test_where_publishers_are_not_told_all_are_one():
    driver = OneDriver(3.0, lambda: BOTH)
    driver.drives(b"", 0.0)
    assert driver.why_not(b"", 0.1) == ""
