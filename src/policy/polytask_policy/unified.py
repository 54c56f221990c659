"""The unified policy: one network that does each taught task when asked in words, by a picture or by name."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from polytask_policy.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from polytask_policy.entries import (
    LARGEST_LAYER,
    LONGEST_NAME,
    MOST_LAYERS,
    Entries,
    brief,
    encoder_sizes,
    require_examples,
    require_weights,
)
from polytask_policy.goal_networks import GOAL_SIZE, GoalConditionedActor, GoalEncoder
from polytask_policy.goals import (
    NONE,
    PICTURE,
    TASK,
    WORDS,
    Examples,
    Goal,
    Limits,
    UnknownGoal,
    picture_vectors,
    quoted,
    recognise,
    sentence_fault,
)
from polytask_policy.pictures import picture_fault, shrink
from polytask_policy.pixel_networks import PixelEncoder
from polytask_policy.policy_spec import PolicySpec
from polytask_policy.text import EMBEDDING_SIZE, TextEncoder

KIND = "unified"


class UnifiedPolicy:
    """Goal-conditioned policy with its goal encoders and the examples it was taught.

    Goals are encoded once (``goal_from_...``); ``act`` is then a small perceptron, about 30 us, after the encoder of a
    policy that sees.
    """

    def __init__(
        self,
        actor: GoalConditionedActor,
        goals: GoalEncoder,
        description: PolicySpec,
        examples: Mapping[str, Tensor],
        limits: Limits | None = None,
        text: TextEncoder | None = None,
    ) -> None:
        """Put the parts together.

        ``examples`` holds "sentences" float32 (S, 384) with "sentence_tasks" int64 (S,), and "pictures" uint8
        (P, 3, S, S), of the goal encoder's picture size, with "picture_tasks" int64 (P,). ``text`` may be shared
        between policies. Raises ValueError where the actor does not see what the description says.
        """
        if (actor.encoder.pictures if actor.encoder is not None else None) != description.pictures:
            raise ValueError(f"the actor does not take the pictures that the description names: {description.pictures}")
        self.actor = actor.eval()
        self.goals = goals.eval()
        self.description = description
        self.limits = limits or Limits()
        self.text = text or TextEncoder()
        self._stored = dict(examples)
        count = len(description.tasks)
        self._sentences = Examples(examples["sentences"], examples["sentence_tasks"], count)
        pictures = picture_vectors(examples["pictures"].float() / 255)
        self._pictures = Examples(pictures, examples["picture_tasks"], count)
        self._goal: Goal | None = None
        self._layers: list[tuple[NDArray[np.float32], NDArray[np.float32]]] = []

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the taught tasks."""
        return self.description.tasks

    def save(self, folder: Path | str, **extra: Any) -> None:
        """Write the checkpoint to ``folder``; ``extra`` are further JSON-able entries (steps, seed, loss...)."""
        tensors = {f"actor.{name}": tensor for name, tensor in self.actor.state_dict().items()}
        tensors |= {f"goals.{name}": tensor for name, tensor in self.goals.state_dict().items()}
        tensors |= {f"examples.{name}": tensor for name, tensor in self._stored.items()}
        network: dict[str, Any] = {"hidden": list(self.actor.hidden)}
        if self.actor.encoder is not None:
            network |= {"feature": self.actor.encoder.feature, "strides": list(self.actor.encoder.strides)}
        meta = {
            "kind": KIND,
            "network": network,
            "limits": asdict(self.limits),
            **self.description.to_meta(),
            **extra,
        }
        save_checkpoint(folder, tensors, meta)

    @classmethod
    def load(cls, folder: Path | str, text: TextEncoder | None = None) -> UnifiedPolicy:
        """Read a unified policy; raises CheckpointError naming what is wrong."""
        tensors, meta = load_checkpoint(folder, KIND)
        description = PolicySpec.from_meta(meta)
        what = f"the unified policy in {folder}"
        entries = Entries(meta)
        network, given = entries.part("network"), entries.part("limits")
        hidden = network.counts("hidden", LARGEST_LAYER, MOST_LAYERS)
        limits = Limits(**{field.name: given.number(field.name, -1.0, 2.0) for field in fields(Limits)})
        seen = encoder_sizes(network) if description.pictures is not None else None
        parts: dict[str, dict[str, Tensor]] = {"actor": {}, "goals": {}, "examples": {}}
        try:
            for name, tensor in tensors.items():
                part, rest = name.split(".", 1)
                parts[part][rest] = tensor
            sizes = (len(description.state_names), len(description.action_names))
            encoder = None
            # Without memory: what would be drawn at random is replaced at once, and takes seconds in large networks.
            with torch.device("meta"):
                if description.pictures is not None and seen is not None:
                    encoder = PixelEncoder(description.pictures, *seen)
                actor = GoalConditionedActor(*sizes, hidden, encoder)
                goals = GoalEncoder(EMBEDDING_SIZE, len(description.tasks), encoder)
            actor.load_state_dict(parts["actor"], assign=True)
            goals.load_state_dict(parts["goals"], assign=True)
            require_weights({name: one for name, one in tensors.items() if not name.startswith("examples.")}, what)
            picture = (None, 3, goals.picture_size, goals.picture_size)
            tasks = len(description.tasks)
            require_examples(parts["examples"], "sentences", (None, EMBEDDING_SIZE), torch.float32, tasks, what)
            require_examples(parts["examples"], "pictures", picture, torch.uint8, tasks, what)
            return cls(actor, goals, description, parts["examples"], limits, text)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise CheckpointError(f"{what} does not fit its own description: {brief(error)}") from None

    def act(
        self, state: NDArray[np.float32], goal: Goal, pictures: NDArray[np.uint8] | None = None
    ) -> NDArray[np.float32]:
        """Return the action float32 (k,) in [-1, 1] for a state float32 (n,) in the state's units.

        ``pictures`` are the stacked frames uint8 (3 stack, size, size) of a policy that sees; a
        :class:`~polytask_policy.view.View` gives both. Raises ValueError for a state of another size or with a value
        that is not finite, and for pictures of another size.
        """
        values = np.asarray(state, dtype=np.float32)
        if values.shape != (len(self.description.state_names),):
            raise ValueError(
                f"the state has shape {values.shape}, the policy takes {len(self.description.state_names)}"
            )
        if not np.isfinite(values).all():
            bad = [self.description.state_names[i] for i in np.flatnonzero(~np.isfinite(values))]
            raise ValueError(f"the state is not finite at {', '.join(bad)}")
        if goal is not self._goal:
            layers = self.actor.for_goal(torch.from_numpy(goal.embedding))
            self._layers = [(weight.numpy(), bias.numpy()) for weight, bias in layers]
            self._goal = goal
        if self.actor.encoder is not None:
            values = np.concatenate([self._features(self.actor.encoder, pictures), values])
        *inner, (last_weight, last_bias) = self._layers
        for weight, bias in inner:
            values = np.maximum(weight @ values + bias, 0)
        action: NDArray[np.float32] = np.tanh(last_weight @ values + last_bias)
        return action

    @torch.inference_mode()
    def _features(self, encoder: PixelEncoder, pictures: NDArray[np.uint8] | None) -> NDArray[np.float32]:
        """Return the encoder's features float32 (feature,) of stacked frames."""
        sees = encoder.pictures
        wanted = (3 * sees.stack, sees.size, sees.size)
        if pictures is None or pictures.dtype != np.uint8 or pictures.shape != wanted:
            found = "none" if pictures is None else f"{pictures.dtype} {pictures.shape}"
            raise ValueError(f"the policy takes stacked frames uint8 {wanted} of camera '{sees.camera}', not {found}")
        features: NDArray[np.float32] = encoder(torch.from_numpy(pictures)).numpy()
        return features

    def no_goal(self) -> Goal:
        """Return the zero goal, which asks for nothing: the control that shows what the goal is worth."""
        return Goal(NONE, np.zeros(GOAL_SIZE, dtype=np.float32), "", 0.0)

    @torch.inference_mode()
    def goal_from_task(self, name: str) -> Goal:
        """Return the goal of a taught task; raises UnknownGoal with the nearest names for any other."""
        if name not in self.tasks:
            if len(name) > LONGEST_NAME:  # to look for near ones would take long
                raise UnknownGoal(f"a task's name of {len(name)} characters; taught are {', '.join(self.tasks)}.")
            near = difflib.get_close_matches(
                name.lower().replace("_", "-").replace(" ", "-"), self.tasks, n=3, cutoff=0.5
            )
            hint = f"did you mean {' or '.join(near)}?" if near else f"taught are {', '.join(self.tasks)}."
            raise UnknownGoal(f"no task {quoted(name)} was taught: {hint}", near[0] if near else "")
        embedding = self.goals.prototypes()[self.tasks.index(name)]
        return Goal(TASK, embedding.numpy().copy(), name, 1.0)

    @torch.inference_mode()
    def goal_from_words(self, words: str) -> Goal:
        """Return the goal of a sentence.

        Raises UnknownGoal where the sentence resembles nothing taught or could mean two tasks, and TextModelError
        where the text model is not installed.
        """
        words = words.encode(errors="replace").decode().strip()  # half a surrogate pair would stop the tokeniser
        fault = sentence_fault(words)
        if fault is not None:
            raise UnknownGoal(f"{fault}; say what to do, for example {self._suggestions()}")
        vector = torch.from_numpy(self.text.encode([words]))
        return self._recognised(
            WORDS,
            quoted(words),
            self.goals.from_sentences(vector)[0],
            self._sentences.similarities(vector[0]),
            (self.limits.words_similarity, self.limits.words_margin),
        )

    @torch.inference_mode()
    def goal_from_image(self, picture: NDArray[np.uint8]) -> Goal:
        """Return the goal of a picture of the wanted result, uint8 (H, W, 3), RGB.

        Raises UnknownGoal where the picture is malformed, resembles nothing taught, or could mean two tasks.
        """
        fault = picture_fault(picture)
        if fault is not None:
            raise UnknownGoal(fault)
        small = shrink(picture[None], self.goals.picture_size)
        return self._recognised(
            PICTURE,
            "the picture",
            self.goals.from_pictures(small)[0],
            self._pictures.similarities(picture_vectors(small)[0]),
            (self.limits.picture_similarity, self.limits.picture_margin),
        )

    def _recognised(
        self, kind: str, what: str, embedding: Tensor, to_examples: list[float], limits: tuple[float, float]
    ) -> Goal:
        """Return the goal, or refuse it by the (least similarity, least margin) of its kind."""
        least_similarity, least_margin = limits
        seen = recognise(self.goals.similarities(embedding[None])[0], to_examples)
        task = self.tasks[seen.nearest]
        if seen.similarity < least_similarity:
            raise UnknownGoal(
                f"{what} is like nothing this policy was taught (nearest is {task}, similarity {seen.similarity:.2f}, "
                f"needed {least_similarity:.2f}). {self._advice(kind)}",
                task,
                seen.similarity,
            )
        if seen.second is not None and seen.margin < least_margin:
            raise UnknownGoal(
                f"{what} could mean {task} or {self.tasks[seen.second]}, or a task that was not taught. "
                f"{self._advice(kind)}",
                task,
                seen.similarity,
            )
        return Goal(kind, embedding.numpy().copy(), task, seen.similarity)

    def _advice(self, kind: str) -> str:
        """Say how to ask instead."""
        if kind == PICTURE:
            return f"Show the scene as it looks when the task is done; taught are {', '.join(self.tasks)}."
        return f"Say for example {self._suggestions()}."

    def _suggestions(self) -> str:
        """Return one taught sentence per task, for at most six tasks."""
        lines = [f"'{(self.description.instructions.get(task) or (task,))[0]}'" for task in self.tasks[:6]]
        return ", ".join(lines) + (f" (and {len(self.tasks) - 6} more tasks)" if len(self.tasks) > 6 else "")
