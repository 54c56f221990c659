"""Description of a recording: the metadata record ``polytask`` of its MCAP file."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from polytask_demo_recorder.errors import RecordingError
from polytask_robot_io.embodiment import Embodiment
from polytask_robot_io.errors import BadEmbodiment

RECORD = "polytask"
"""Name of the metadata record written when an episode is complete."""
BEGIN_RECORD = "polytask_begin"
"""Name of the one written first; all that is known of an episode whose recorder was killed."""
FORMAT = "1"
LIBRARY = "polytask_demo_recorder"
"""Who wrote the file, as its header says; by this a recorder knows its own files again."""
LONGEST = 1 << 20
"""Characters of one metadata entry beyond which it is refused, unread."""

SUCCESS = "success"
"""The simulator's status reported success."""
TIME_LIMIT = "time_limit"
"""The episode ended at its horizon without success."""
ABORTED = "aborted"
"""It was broken off: another was started, the recording was cancelled, or the recorder died."""
FAULT = "fault"
"""The simulation failed."""
UNJUDGED = "unjudged"
"""Nobody publishes a status, as on a real robot; the person who showed it is trusted."""
OUTCOMES = (SUCCESS, TIME_LIMIT, ABORTED, FAULT, UNJUDGED)


@dataclass(frozen=True)
class EpisodeInfo:
    """An episode's description. Stored as text, so that any MCAP tool shows it."""

    task: str
    embodiment: Embodiment
    topics: Mapping[str, str]
    """Topic names in the file, by the relative names of the embodiment file."""
    instructions: tuple[str, ...] = ()
    outcome: str = ABORTED
    message: str = ""
    """What the status said at the end, or why the episode was broken off."""
    suite: str = ""
    episode_id: str = ""
    seed: int = -1
    """Seed the simulator was reset with; -1: none."""
    recorded_at: str = ""
    """When the recording began: ISO 8601, UTC."""
    missing: Mapping[str, int] = field(default_factory=dict)
    """How many messages were lost, by relative topic; topics that lost none are left out."""

    @property
    def has_cameras(self) -> bool:
        """Whether cameras were recorded."""
        return any(camera.topic in self.topics for camera in self.embodiment.cameras)

    def with_end(self, outcome: str, message: str, missing: Mapping[str, int]) -> EpisodeInfo:
        """The same episode, ended."""
        return dataclasses.replace(self, outcome=outcome, message=message, missing=dict(missing))

    def to_record(self) -> dict[str, str]:
        """Text for the metadata record; lists and maps as JSON."""
        return {
            "format": FORMAT,
            "task": self.task,
            "instructions": json.dumps(list(self.instructions), ensure_ascii=False),
            "outcome": self.outcome,
            "message": self.message,
            "suite": self.suite,
            "episode_id": self.episode_id,
            "seed": str(self.seed),
            "control_rate": f"{self.embodiment.rate:g}",
            "recorded_at": self.recorded_at,
            "missing": json.dumps(dict(self.missing)),
            "topics": json.dumps(dict(self.topics)),
            "embodiment": self.embodiment.to_yaml(),
        }

    @classmethod
    def from_record(cls, record: Mapping[str, str]) -> EpisodeInfo:
        """Parse :meth:`to_record`'s text.

        Raises:
            RecordingError: another format, or entries that are missing or malformed.
        """
        if record.get("format") != FORMAT:
            found = record.get("format", "none")[:40]
            raise RecordingError(f"its metadata has format {found!r}; this version reads {FORMAT!r}")
        for key in (entry.name for entry in dataclasses.fields(cls)):
            if len(record.get(key, "")) > LONGEST:
                raise RecordingError(f"its metadata entry '{key}' has {len(record[key])} characters, over {LONGEST}")
        try:
            if record["outcome"] not in OUTCOMES:
                raise ValueError(f"outcome {record['outcome'][:40]!r} is not one of {', '.join(OUTCOMES)}")
            return cls(
                task=record["task"],
                embodiment=Embodiment.from_yaml(record["embodiment"], source="embodiment in the metadata"),
                topics={key: _text(value) for key, value in json.loads(record["topics"]).items()},
                instructions=tuple(_text(sentence) for sentence in json.loads(record["instructions"])),
                outcome=record["outcome"],
                message=record["message"],
                suite=record["suite"],
                episode_id=record["episode_id"],
                seed=int(record["seed"]),
                recorded_at=record["recorded_at"],
                missing={str(key): int(value) for key, value in json.loads(record["missing"]).items()},
            )
        except BadEmbodiment as error:
            raise RecordingError(str(error)) from error
        except KeyError as error:
            raise RecordingError(f"its metadata lacks the entry {error}") from error
        except RecursionError as error:
            raise RecordingError("its metadata cannot be read: lists in lists without end") from error
        except (ValueError, AttributeError, TypeError, OverflowError) as error:
            raise RecordingError(f"its metadata cannot be read: {str(error)[:200]}") from error


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"expected text, found a {type(value).__name__}")
    return value
