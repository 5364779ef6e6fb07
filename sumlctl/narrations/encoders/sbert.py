"""Sentence-BERT through sentence-transformers (Reimers and Gurevych, 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sumlctl import documents
from sumlctl.errors import SumlError

if TYPE_CHECKING:
    import numpy as np
    from sentence_transformers import SentenceTransformer


def load(folder: Path, device: str = "auto") -> SentenceBert:
    """The model in `folder`, on the GPU when there is one.

    Args:
        folder: a sentence-transformers model folder; nothing is downloaded.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.

    Raises:
        SumlError: the folder holds no such model.
    """
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging

    logging.disable_progress_bar()
    _check_modules(folder)
    try:
        model = SentenceTransformer(
            str(folder),
            device=None if device == "auto" else device,
            local_files_only=True,
            trust_remote_code=False,
        )
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise SumlError(
            folder,
            "cannot load the encoder",
            got=str(error).splitlines()[0][:120],
            expected="a sentence-transformers model",
            fix="Check the folder, or choose another --encoder or --device.",
        ) from error
    return SentenceBert(model)


def _check_modules(folder: Path) -> None:
    """Refuses a model that names other classes than the library's own.

    Versions before 6 import whatever a model on disk names.
    """
    path = folder / "modules.json"
    try:
        listed = documents.from_json(path.read_bytes()) if path.is_file() else []
        named = [str(module["type"]) for module in listed]
    except (ValueError, TypeError, KeyError) as error:
        named = [f"{type(error).__name__}: {error}"[:120]]
    if other := [name for name in named if not name.startswith("sentence_transformers.")]:
        raise SumlError(
            path,
            "the model would run code of its own",
            got=other[0],
            expected="classes of sentence-transformers",
            fix="Choose another --encoder.",
        )


class SentenceBert:
    """A sentence-transformers model seen as an `Encoder`, in float32."""

    def __init__(self, model: SentenceTransformer) -> None:
        self._model = model.eval().float()
        self._prompt = model.prompts.get(model.default_prompt_name or "") or ""
        self.max_tokens = int(model.max_seq_length or 512)

    def lengths(self, texts: Sequence[str]) -> list[int]:
        tokens = self._model.tokenizer([self._prompt + text for text in texts], truncation=False)
        return [len(ids) for ids in tokens["input_ids"]]

    def encode(self, texts: Sequence[str], length: int) -> np.ndarray:
        import torch

        tokens = self._model.tokenizer(
            [self._prompt + text for text in texts],
            padding="max_length",
            truncation=True,
            max_length=length,
            return_tensors="pt",
        )
        with torch.inference_mode():
            features = self._model(dict(tokens.to(self._model.device)))
        return features["sentence_embedding"].float().cpu().numpy()
