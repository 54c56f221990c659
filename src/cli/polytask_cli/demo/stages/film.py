"""Videos of what the served policy did, made afterwards by playing its recorded commands again from the same start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from polytask_cli.demo.stages.ask_plan import goal_pictures, picture_path
from polytask_cli.files import read_lines, write_bytes
from polytask_cli.video.media import Picture, encode, gif, smaller
from polytask_cli.video.montage import VIDEO_RATE, Video, montage
from polytask_cli.video.replay import replay
from polytask_trainer.jobs.execute import Progress, at

SIZE = (320, 240)
FAILURES = 8
OVERSAMPLING = 2
"""Pictures are rendered this much larger and scaled down: the software renderer has no antialiasing."""

Episode = Mapping[str, Any]


def choose_videos(episodes: Sequence[Episode], tasks: Sequence[str]) -> tuple[list[Episode], bool]:
    """One success per task, all from the same start where there is such a start; and whether there is.

    Asked in words where possible: a sentence says most under a video.
    """
    successes = [episode for episode in episodes if episode["success"]]
    order = {"words": 0, "other": 1, "heldout": 2, "image": 3, "name": 4}
    successes.sort(key=lambda episode: (order[episode["group"]], episode["kind"] != "words"))
    by_start: dict[int, dict[str, Episode]] = {}
    by_task: dict[str, Episode] = {}
    for episode in successes:
        by_start.setdefault(episode["seed"], {}).setdefault(episode["asked"], episode)
        by_task.setdefault(episode["asked"], episode)
    if not by_task:
        return [], False
    best = max(by_start.values(), key=len)
    chosen = [best.get(task) or by_task.get(task) for task in tasks]
    return [episode for episode in chosen if episode is not None], all(task in best for task in tasks)


def choose_failures(episodes: Sequence[Episode], count: int = FAILURES) -> list[Episode]:
    """At most ``count`` failures, as different as possible: first one per group and task, then further ones."""
    failures = [episode for episode in episodes if not episode["success"]]
    seen: dict[tuple[str, str], int] = {}
    ranked: list[tuple[int, int, Episode]] = []
    for episode in failures:
        key = (episode["asked"], episode["group"])
        seen[key] = seen.get(key, 0) + 1
        ranked.append((seen[key], len(ranked), episode))
    ranked.sort(key=lambda entry: entry[:2])
    return [episode for _, _, episode in ranked[:count]]


def work(spec: dict[str, Any], on_progress: Progress) -> dict[str, Any]:
    """Make the videos and the pictures of failures named in the answers' files; gives their paths."""
    from polytask_suites import make_env

    episodes = [line for path in spec["answers"] for line in read_lines(Path(path))]
    episodes.sort(key=lambda episode: episode["id"])
    complete = [episode for episode in episodes if len(episode["actions"]) == episode["steps"] > 0]
    videos, same_start = choose_videos(complete, spec["tasks"])
    failures = choose_failures(episodes)
    pictures_by_task = goal_pictures(Path(spec["pictures"]))
    env = make_env(spec["suite"], spec["tasks"][0])
    step = max(1, round(float(env.get_wrapper_attr("control_rate")) / VIDEO_RATE))
    folder = Path(spec["folder"])
    # The keys are those of published results.
    made: dict[str, Any] = {"same_start": same_start, "films": [], "failures": [], "replayed": 0, "identical": 0}

    def play(episode: Episode, frames: Sequence[int]) -> list[Any]:
        actions = np.asarray(episode["actions"], dtype=np.float64)
        large = (SIZE[0] * OVERSAMPLING, SIZE[1] * OVERSAMPLING)
        pictures, end = replay(env, episode["asked"], episode["seed"], actions, frames, large)
        made["replayed"] += 1
        made["identical"] += bool(np.array_equal(end, np.asarray(episode["end_state"], dtype=np.float32)))
        on_progress(at(made["replayed"], len(videos) + len(failures), "pictures"))
        return [smaller(picture, SIZE) for picture in pictures]

    side_by_side = []
    for episode in videos:
        steps = len(episode["actions"])
        path = folder / f"film-{episode['asked']}.gif"
        pictures = play(episode, sorted({*range(0, steps + 1, step), steps}))
        write_bytes(path, gif(pictures, VIDEO_RATE))
        side_by_side.append(_video(episode, pictures, pictures_by_task))
        made["films"].append({**_caption(episode, pictures_by_task), "file": str(path)})
    for episode in failures:
        path = folder / f"failure-{episode['id']}.jpg"
        if episode not in complete:  # refused, so nothing happened
            made["failures"].append({**_caption(episode, pictures_by_task), "file": None})
            continue
        write_bytes(path, encode(play(episode, [len(episode["actions"])])[0], "JPEG"))
        made["failures"].append({**_caption(episode, pictures_by_task), "file": str(path)})
    env.close()
    if side_by_side:
        write_bytes(Path(spec["montage"]), montage(side_by_side, VIDEO_RATE))
    return made


def _video(episode: Episode, frames: Sequence[Picture], pictures: Mapping[str, Sequence[str]]) -> Video:
    if episode["kind"] == "image":
        goal = np.asarray(Image.open(picture_path(episode["goal"], pictures)).convert("RGB"))
        return Video(frames, "by this picture", goal)
    return Video(frames, f"“{episode['goal']}”" if episode["kind"] == "words" else f"by name: {episode['goal']}")


def _caption(episode: Episode, pictures: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    caption = {key: value for key, value in episode.items() if key not in ("actions", "end_state")}
    if episode["kind"] == "image":
        caption["goal_file"] = picture_path(episode["goal"], pictures)
    return caption
