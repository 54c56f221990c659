"""Record demonstrations over the topics: simulation, scripted expert and recorder run as nodes, asked from here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from polytask_bringup.demo.files import write_bytes
from polytask_bringup.demo.media import encode, spread_indices, strip
from polytask_bringup.demo.stack import Stack
from polytask_bringup.demo.worker import Report

STRIP_PICTURES = 8
MOST_TRIES = 50


def work(spec: dict[str, Any], report: Report) -> dict[str, Any]:
    """Record one demonstration of each task into ``demonstrations``, and ``controls`` more into ``control_folder``.

    They are kept apart so that nothing but the cloning control can learn from the further ones. What an earlier sitting
    recorded is kept. Gives for each episode its file, seed, steps and a strip of its pictures.
    """
    from polytask_bringup.demo.record_client import RecordClient

    parts = ((Path(spec["demonstrations"]), 1), (Path(spec["control_folder"]), int(spec["controls"])))
    episodes: dict[str, list[dict[str, Any]]] = {task: [] for task in spec["seeds"]}
    done, total = 0, len(episodes) * sum(count for _, count in parts)
    with Stack(spec["launch"], spec["arguments"], Path(spec["log"])) as stack, RecordClient() as client:
        client.wait()
        for folder, count in parts:
            client.set_dataset(folder)
            for task, first in spec["seeds"].items():
                kept = _recorded(folder / task)
                seed = max([first - 1, *(episode["seed"] for episode in [*episodes[task], *kept])]) + 1
                while len(kept) < count:
                    stack.check()
                    if seed >= first + MOST_TRIES:
                        raise RuntimeError(f"the scripted expert of {task} failed too often from seed {first} on")
                    path = client.record(task, seed)
                    seed += 1
                    if path is not None:
                        kept.append(_describe(path))
                        report(done + len(kept), total, task)
                episodes[task] += kept
                done += count
    strips = Path(spec["strips"])
    return {"episodes": {task: [_with_strip(episode, strips) for episode in own] for task, own in episodes.items()}}


def _recorded(folder: Path) -> list[dict[str, Any]]:
    """Complete recordings of an earlier sitting."""
    from polytask_demo_recorder.folder import episode_files

    return [_describe(path) for path in episode_files(folder)] if folder.is_dir() else []


def _describe(path: Path) -> dict[str, Any]:
    """What is told of a recording."""
    from polytask_demo_recorder.dataset import read_episode

    episode = read_episode(path)
    return {"file": str(path), "task": episode.task, "seed": episode.seed, "steps": len(episode.action)}


def _with_strip(recorded: dict[str, Any], strips: Path) -> dict[str, Any]:
    """The same with a strip of the recorded pictures."""
    from polytask_demo_recorder.dataset import read_episode

    pictures = next(iter(read_episode(recorded["file"], cameras=True).images.values()))
    path = strips / f"demonstration-{recorded['task']}-{recorded['seed']}.png"
    write_bytes(path, encode(strip([pictures[i] for i in spread_indices(len(pictures), STRIP_PICTURES)])))
    return {**recorded, "strip": str(path)}
