"""Record demonstrations over the topics: simulation, scripted expert and recorder run as nodes, asked from here."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from polytask_cli.files import write_bytes
from polytask_cli.nodes.stack import Stack
from polytask_cli.video.media import encode, spread_indices, strip
from polytask_trainer.jobs.execute import Progress, at

if TYPE_CHECKING:
    from polytask_cli.demo.stages.record_client import RecordClient

STRIP_PICTURES = 8
MOST_TRIES = 50
MOST_ATTEMPTS = 5


def work(spec: dict[str, Any], on_progress: Progress) -> dict[str, Any]:
    """Record one demonstration of each task into ``demonstrations``, and ``controls`` more into ``control_folder``.

    They are kept apart so that nothing but the cloning control can learn from the further ones. What an earlier sitting
    recorded is kept. Gives for each episode its file, seed, steps and a strip of its pictures.
    """
    from polytask_cli.demo.stages.record_client import RecordClient

    parts = ((Path(spec["demonstrations"]), 1), (Path(spec["control_folder"]), int(spec["controls"])))
    thumbnails = Path(spec["thumbnails"])
    episodes: dict[str, list[dict[str, Any]]] = {task: [] for task in spec["seeds"]}
    done, total = 0, len(episodes) * sum(count for _, count in parts)
    with Stack(spec["launch"], spec["arguments"], Path(spec["log"])) as stack, RecordClient() as client:
        client.wait()
        for folder, count in parts:
            client.set_dataset(folder)
            for task, first in spec["seeds"].items():
                kept = _recorded(folder / task, thumbnails)
                seed = max([first - 1, *(episode["seed"] for episode in [*episodes[task], *kept])]) + 1
                while len(kept) < count:
                    stack.check()
                    if seed >= first + MOST_TRIES:
                        raise RuntimeError(f"the scripted expert of {task} failed too often from seed {first} on")
                    if (episode := _record(client, task, seed, thumbnails)) is not None:
                        kept.append(episode)
                    seed += 1
                    on_progress(at(done + len(kept), total, task))
                episodes[task] += kept
                done += count
    return {"episodes": episodes}


def _record(client: RecordClient, task: str, seed: int, thumbnails: Path) -> dict[str, Any] | None:
    """Record the episode from ``seed``; None where the script failed. What cannot be read is recorded again."""
    from polytask_demo_recorder.errors import DatasetError

    for attempt in range(MOST_ATTEMPTS):
        try:
            path = client.record(task, seed)
            return None if path is None else _describe(path, thumbnails)
        except DatasetError as error:
            # Right after their start not all nodes hear each other yet.
            print(f"attempt {attempt + 1}: {error}", file=sys.stderr)
    raise RuntimeError(f"{task} from seed {seed} could not be recorded so that it can be read; see this log")


def _recorded(folder: Path, thumbnails: Path) -> list[dict[str, Any]]:
    """Recordings of an earlier sitting."""
    from polytask_demo_recorder.dataset.folder import episode_files

    return [_describe(path, thumbnails) for path in episode_files(folder)] if folder.is_dir() else []


def _describe(path: Path, thumbnails: Path) -> dict[str, Any]:
    """What the report tells of a recording, with a strip of the recorded pictures. Raises DatasetError."""
    from polytask_demo_recorder.dataset.reader import read_episode

    episode = read_episode(path, cameras=True)
    pictures = next(iter(episode.images.values()))
    shown = thumbnails / f"demonstration-{episode.task}-{episode.seed}.png"
    write_bytes(shown, encode(strip([pictures[i] for i in spread_indices(len(pictures), STRIP_PICTURES)])))
    return {"file": str(path), "seed": episode.seed, "steps": len(episode.action), "strip": str(shown)}
