"""Sentence-BERT through sentence-transformers (Reimers and Gurevych, 2019)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from sumlctl.config import documents
from sumlctl.errors import SumlError

if TYPE_CHECKING:
    import numpy as np
    from sentence_transformers import SentenceTransformer

_LIBRARY = "sentence_transformers."


def load(folder: Path, device: str = "auto", prompt: str = "") -> SentenceBert:
    """Return the model in `folder`, on the GPU when there is one.

    Args:
        folder: a sentence-transformers model folder; nothing is downloaded.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        prompt: text that goes before every narration, as the model knows it.

    Raises:
        SumlError: the folder holds no such model, or one that would run code of its own.
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
        encoder = SentenceBert(model, prompt)
        encoder.encode(["a"], 1)  # a model of pictures alone fails here and not at a narration
    except Exception as error:  # the library raises what it likes at a folder that it cannot use
        raise SumlError(
            folder,
            "cannot load the encoder",
            got=(str(error).strip() or type(error).__name__).splitlines()[0][:120],
            expected="a sentence-transformers model of texts",
            fix="Check the folder, or choose another --encoder or --device.",
        ) from error
    return encoder


def _check_modules(folder: Path) -> None:
    """Refuses a model that names other classes than the library's own, or files elsewhere.

    Versions before 6 import whatever a model on disk names.
    """
    for path in (folder / "modules.json", *sorted(folder.rglob("*config.json"))):
        try:
            found = documents.from_json(path.read_bytes()) if path.is_file() else {}
            classes, folders = [*_classes(path, found)], [*_folders(path, found)]
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            classes, folders = [f"{type(error).__name__}: {error}"[:120]], []
        if other := [name for name in classes if not name.startswith(_LIBRARY)]:
            raise SumlError(
                path,
                "the model would run code of its own",
                got=other[0],
                expected="classes of sentence-transformers",
                fix="Choose another --encoder.",
            )
        if away := [name for name in folders if _leaves(name)]:
            raise SumlError(
                path,
                "a module lies outside the model's folder",
                got=away[0],
                expected="a folder inside it",
                fix="Copy the model's files into one folder, or choose another --encoder.",
            )


def _classes(path: Path, found: Any) -> Iterator[str]:
    """Return the classes of modules, routes of a router, word tokenizers, odd activations."""
    if path.name == "modules.json":
        yield from (str(module["type"]) for module in found or ())
    elif isinstance(found, dict):
        activation = str(found.get("activation_function", ""))  # of a dense layer; others: "gelu"
        if "." in activation and not activation.startswith("torch.nn."):
            yield activation
        if path.name == "wordembedding_config.json":
            yield str(found["tokenizer_class"])
        routes = found.get("types")  # in router_config.json, and config.json before version 5
        if isinstance(routes, dict):
            yield from map(str, routes.values())


def _folders(path: Path, found: Any) -> Iterator[str]:
    if path.name == "modules.json":
        yield from (str(module["path"]) for module in found or ())
    elif isinstance(found, dict) and isinstance(found.get("types"), dict):
        yield from map(str, found["types"])


def _leaves(name: str) -> bool:
    path = PurePosixPath(name)
    return path.is_absolute() or ".." in path.parts


class SentenceBert:
    """A sentence-transformers model seen as an `Encoder`, in the precision of its folder.

    The library does everything between a text and its vector: prompts and whether pooling leaves
    them out, every module, truncated dimensions. So a vector is what `SentenceTransformer.encode`
    gives for the same folder.
    """

    def __init__(self, model: SentenceTransformer, prompt: str) -> None:
        self._model = model
        self._model.default_prompt_name = None  # `prompt` is the one that was chosen
        self._prompt = prompt
        self.max_tokens = float(model.max_seq_length or math.inf)

    def lengths(self, texts: Sequence[str]) -> list[int]:
        tokenizer = self._model.tokenizer
        prompted = [self._prompt + text for text in texts]
        if callable(tokenizer):  # of transformers
            return [len(ids) for ids in tokenizer(prompted, truncation=False)["input_ids"]]
        if hasattr(tokenizer, "tokenize"):  # of words, with embeddings such as GloVe's
            return [len(tokenizer.tokenize(text)) for text in prompted]
        return [1] * len(prompted)  # static embeddings are summed and never padded

    def encode(self, texts: Sequence[str], batch_size: int) -> np.ndarray:
        import numpy as np

        found = self._model.encode(
            list(texts),
            prompt=self._prompt or None,
            batch_size=batch_size,
            show_progress_bar=False,
            convert_to_numpy=True,
        )
        return np.asarray(found, np.float32)
