"""Record demonstrations over the topics: simulation, scripted expert and recorder as nodes, driven from here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from polytask_bringup.demo.files import write_bytes
from polytask_bringup.demo.media import encode, spread_indices, strip
from polytask_bringup.demo.stack import Stack
from polytask_bringup.demo.worker import Report

if TYPE_CHECKING:
    from polytask_bringup.demo.record_client import RecordClient

STRIP_PICTURES = 8


def work(spec: dict[str, Any], report: Report) -> dict[str, Any]:
    """Record one demonstration for every (task, seed); gives for each its file, seed, steps and a strip of pictures.

    The first demonstration of a task goes into the folder ``demonstrations``, those for the cloning control into
    ``controls``, so that nothing else can be learned from. What an earlier sitting recorded is kept.
    """
    from polytask_bringup.demo.record_client import RecordClient

    folders = [Path(spec["demonstrations"]), Path(spec["controls"])]
    tasks = dict(spec["seeds"])
    wanted = [(folders[0], task, seeds[0]) for task, seeds in tasks.items()]
    wanted += [(folders[1], task, seed) for task, seeds in tasks.items() for seed in seeds[1:]]
    kept = {(folder, task): _recorded(folder / task) for folder, task, _ in wanted}
    missing = [(folder, task, seed) for folder, task, seed in wanted if seed not in kept[folder, task]]
    if missing:
        stack = Stack(spec["launch"], spec["arguments"], Path(spec["log"]))
        with stack, RecordClient() as client:
            client.wait()
            for number, (folder, task, seed) in enumerate(missing):
                stack.check()
                path = _record(client, folder, task, seed, spec["spare"][task])
                kept[folder, task][seed] = path
                report(number + 1, len(missing), f"{task}: {path.name}")
    episodes: dict[str, list[dict[str, Any]]] = {}
    for folder, task, seed in wanted:
        episodes.setdefault(task, []).append(_describe(kept[folder, task][seed], Path(spec["strips"])))
    return {"episodes": episodes}


def _record(client: RecordClient, folder: Path, task: str, seed: int, spare: list[int]) -> Path:
    """Record a success from ``seed``; where the script fails there, from one of the spare seeds, taken in order."""
    client.set_dataset(folder)
    while True:
        path = client.record(task, seed)
        if path is not None:
            return path
        if not spare:
            raise RuntimeError(f"the scripted expert of {task} failed too often to record demonstrations")
        seed = spare.pop(0)


def _recorded(folder: Path) -> dict[int, Path]:
    """Complete recordings of an earlier sitting, by seed."""
    from polytask_demo_recorder.dataset import DatasetError, read_dataset

    if not folder.is_dir():
        return {}
    try:
        return {episode.seed: episode.path for episode in read_dataset(folder)}
    except DatasetError:
        return {}


def _describe(path: Path, strips: Path) -> dict[str, Any]:
    """What the report tells of a recording, with a strip of the recorded pictures."""
    from polytask_demo_recorder.dataset import read_episode

    episode = read_episode(path, cameras=True)
    pictures = next(iter(episode.images.values()))
    shown = strips / f"demonstration-{episode.task}-{episode.seed}.png"
    write_bytes(shown, encode(strip([pictures[i] for i in spread_indices(len(pictures), STRIP_PICTURES)])))
    return {"file": str(path), "seed": episode.seed, "steps": len(episode.action), "strip": str(shown)}
