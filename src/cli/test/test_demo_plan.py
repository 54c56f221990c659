"""Options, seeds, questions and the plan of stages."""

from __future__ import annotations

from pathlib import Path

import pytest

from polytask_cli.demo.options import Demo, DemoError, DemoOptions, Scale, Seeds
from polytask_cli.demo.plan import serving_stages, training_stages
from polytask_cli.demo.report.results import union
from polytask_cli.demo.stages.ask_plan import Goals, goal_pictures, make_plan, picture_path, read_heldout, shard
from polytask_cli.demo.stages.film import choose_failures, choose_videos

TASKS = ("drawer-open", "box-open", "peg-green")


@pytest.fixture
def demo(tmp_path: Path) -> Demo:
    return DemoOptions(tasks=TASKS, output=tmp_path, scale=Scale(ask_starts=4, heldout_starts=5)).resolved()


@pytest.fixture
def goals() -> Goals:
    return Goals({task: (f"do {task}", f"{task}!") for task in TASKS}, {task: ["x", "y", "z"] for task in TASKS}, 4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tasks": ("drawer-open", "fly")}, "no task fly"),
        ({"tasks": ("drawer-open",)}, "at least two"),
        ({"tasks": ("drawer-open", "drawer-open")}, "named twice"),
        ({"suite": "garden"}, "no suite"),
        ({"seed": 90}, "0 to 89"),
    ],
)
def test_wrong_options_are_refused(options: dict, message: str) -> None:
    with pytest.raises(DemoError, match=message):
        DemoOptions(**options).resolved()


def test_the_output_is_named_after_the_options() -> None:
    assert DemoOptions().resolved().output.name == "demo-tabletop"
    assert DemoOptions(quick=True, seed=3).resolved().output.name == "demo-tabletop-quick-seed3"
    assert len(DemoOptions(quick=True).resolved().tasks) == 2


def test_no_seed_is_used_for_two_things() -> None:
    used: list[int] = []
    for run in (0, 1, 89):
        seeds = Seeds(run)
        used += [seeds.demonstrations + index for index in range(100)]
        used += seeds.evaluation(40)
        used += [seed for task in range(20) for seed in seeds.ask(task, 100)]
        used += [seeds.picture(task) + index for task in range(20) for index in range(100)]
        used += seeds.timing(100)
    assert len(used) == len(set(used))
    assert max(used) < 1_000_000  # training starts lie above


def test_every_group_asks_from_the_same_starts(demo: Demo, goals: Goals) -> None:
    plan = make_plan(demo, goals)
    for task in TASKS:
        starts = {
            group: {q.seed for q in plan if q.group == group and q.start_of == task}
            for group in ("words", "image", "name", "heldout", "other")
        }
        assert starts["words"] == starts["image"] == starts["name"]
        assert starts["words"] <= starts["heldout"]
        assert starts["other"] <= starts["heldout"]
    assert all(q.start_of == q.asked for q in plan if q.group != "other")
    others = [(q.start_of, q.asked) for q in plan if q.group == "other"]
    assert {pair: others.count(pair) for pair in others} == {(a, b): 4 for a in TASKS for b in TASKS if a != b}
    assert {q.kind for q in plan if q.group == "other"} == {"words", "image", "name"}
    assert {q.goal for q in plan if q.group == "heldout"} == {"x", "y", "z"}
    assert len({q.id for q in plan}) == len(plan)


def test_shards_are_the_whole_plan(demo: Demo, goals: Goals) -> None:
    plan = make_plan(demo, goals)
    parts = shard(plan, 0, 2), shard(plan, 1, 2)
    assert sorted(q.id for part in parts for q in part) == sorted(q.id for q in plan)
    assert abs(len(parts[0]) - len(parts[1])) <= 1


def test_picture_goals_name_files() -> None:
    pictures = {"a-b": ["0.png", "1.png"]}
    assert picture_path("a-b/3", pictures) == "1.png"


def test_goal_pictures_are_found_in_the_order_of_their_seeds(tmp_path: Path) -> None:
    for name in ("a/9.png", "a/10.png", "b/3.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    a, b = tmp_path / "a", tmp_path / "b"
    assert goal_pictures(tmp_path) == {"a": [f"{a}/9.png", f"{a}/10.png"], "b": [f"{b}/3.png"]}


def test_a_taught_sentence_is_no_held_out_one(tmp_path: Path) -> None:
    path = tmp_path / "sentences.yaml"
    path.write_text("drawer-open: ['Open the drawer!', 'Pull it.']\n")
    assert read_heldout(path, ("drawer-open",), {"drawer-open": ("Shut it.",)}) == {
        "drawer-open": ["Open the drawer!", "Pull it."]
    }
    with pytest.raises(DemoError, match="is taught"):
        read_heldout(path, ("drawer-open",), {"drawer-open": ("open the drawer.",)})
    assert read_heldout(None, ("drawer-open",), {}) == {}


def test_stages_wait_for_what_they_need(demo: Demo, goals: Goals) -> None:
    stages = [*training_stages(demo), *serving_stages(demo, goals, 20.0, "camera/image_raw")]
    names = [stage.name for stage in stages]
    assert len(set(names)) == len(names)
    for number, stage in enumerate(stages):
        for need in stage.needs:
            assert need in names, f"{stage.name} needs {need}"
            assert need not in names[number:] or stage.phase == "evaluate"
    recorded = {task for stage in stages if stage.phase == "record" for task in stage.job.arguments["spec"]["seeds"]}
    assert recorded == set(TASKS)
    assert [stage.name for stage in stages if stage.alone] == ["realtime", "lockstep"]


def episode(seed: int, asked: str, group: str = "words", success: bool = True) -> dict:
    return {"seed": seed, "asked": asked, "group": group, "kind": "words", "success": success}


def test_videos_are_of_one_start_where_there_is_one() -> None:
    episodes = [episode(1, "a"), episode(1, "b", "other", False), episode(2, "b"), episode(2, "a", "other")]
    videos, same = choose_videos(episodes, ("a", "b"))
    assert same
    assert [(video["seed"], video["asked"]) for video in videos] == [(2, "a"), (2, "b")]
    videos, same = choose_videos(episodes[:3], ("a", "b"))
    assert not same
    assert {video["asked"] for video in videos} == {"a", "b"}
    assert choose_videos([], ("a", "b")) == ([], False)


def test_failures_shown_differ() -> None:
    episodes = [episode(1, "a", success=False), episode(2, "a", success=False), episode(3, "b", success=False)]
    assert [failure["seed"] for failure in choose_failures(episodes, 2)] == [1, 3]


def test_union_of_intervals() -> None:
    assert union([(0.0, 2.0), (1.0, 3.0), (5.0, 6.0)]) == pytest.approx(4.0)
