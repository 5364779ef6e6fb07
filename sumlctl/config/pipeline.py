"""A run's settings: one TOML becomes one checked `Pipeline`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sumlctl import __version__
from sumlctl.config import documents, parsing, profiles, shipped
from sumlctl.config.parsing import Component, limits
from sumlctl.config.sections import (
    DECODERS,
    Checkpoints,
    Data,
    Encoders,
    Evaluation,
    Head,
    Input,
    Log,
    Optimiser,
    Projection,
    Stage,
)
from sumlctl.errors import SumlError

# What `sumlctl run` reads from the same file (`sumlctl.workflow.recipe`).
FOR_RUN = ("steps", "decode", "mining", "histogram", "cam", "matrix", "paper")
PRECISIONS = ("auto", "32-true", "bf16-mixed", "16-mixed")


@dataclass(frozen=True)
class Pipeline:
    """Everything that a run depends on.

    Args:
        title: what it is, in one line.
        profile: what the paper and the released code disagree about (`sumlctl.config.profiles`).
        seed: the only source of randomness.
        precision: arithmetic, in Lightning Fabric's names; `auto` is bf16-mixed where a GPU has it.
        devices: processes per node that train, one device each.
        nodes: machines.
        compile: whether torch.compile optimises the encoders; with PyTorch before 2.9 not their
            checkpointed blocks.
        gather_negatives: whether a clip's negatives come from all devices or from its own.
        max_failed_share: share of an epoch's clips that may be undecodable before the run stops.
        decoder: who decodes videos: `auto`, `decord` or `pyav` (`sumlctl.video.read`). Frames may
            differ by rounding, and `decord` leaves out what it is not trusted with.
        workers: processes that decode, per device; 0 decodes in the training process, where a
            file that hangs or crashes the decoder does so to the training.
        cache_mb: memory for decoded clips, per device, in MiB.
        decode_timeout_s: seconds of processor time that a decoding process may take for one
            window, and never fewer by the clock. One that neither computes nor reads is given up
            after five times as long, and one that reads without end after fifty times.
        decode_memory_mb: by how much a decoding process may grow, in MiB.
    """

    title: str = field(default="", metadata=limits(neutral=True))
    profile: str = field(default="paper", metadata=limits(choices=tuple(profiles.PROFILES)))
    seed: int = field(default=0, metadata=limits(at_least=0))
    precision: str = field(default="auto", metadata=limits(choices=PRECISIONS))
    devices: int = field(default=1, metadata=limits(at_least=1))
    nodes: int = field(default=1, metadata=limits(at_least=1))
    compile: bool = False
    gather_negatives: bool = False
    max_failed_share: float = field(
        default=0.2, metadata=limits(at_least=0, at_most=1, neutral=True)
    )
    decoder: str = field(default="auto", metadata=limits(choices=DECODERS, later=True))
    workers: int = field(default=4, metadata=limits(at_least=0, neutral=True))
    cache_mb: int = field(default=0, metadata=limits(at_least=0, neutral=True))
    decode_timeout_s: float = field(default=120.0, metadata=limits(above=0, neutral=True))
    decode_memory_mb: int = field(default=2048, metadata=limits(at_least=256, neutral=True))
    data: Data = field(default_factory=Data)
    input: Input = field(default_factory=Input)
    backbone: Component = field(default=Component("r3d50"), metadata={"kind": "backbones"})
    encoders: Encoders = field(default_factory=Encoders)
    projection: Projection = field(default_factory=Projection)
    head: Head = field(default_factory=Head)
    loss: Component = field(default=Component("sum-l"), metadata={"kind": "losses"})
    stage_one: Stage = field(default_factory=Stage)
    stage_two: Stage = field(default_factory=Stage)
    optimiser: Optimiser = field(default_factory=Optimiser)
    checkpoints: Checkpoints = field(default_factory=Checkpoints, metadata=limits(neutral=True))
    log: Log = field(default_factory=Log, metadata=limits(neutral=True))
    evaluation: Evaluation = field(default_factory=Evaluation, metadata=limits(neutral=True))


def load(
    path: Path, overrides: Sequence[str] = (), profile: str | None = None, own: Path | None = None
) -> Pipeline:
    """Reads a pipeline, applies a profile and `KEY=VALUE` overrides, checks everything.

    What the file says for `sumlctl run` alone (`FOR_RUN`) is left aside.

    Args:
        path: the TOML file.
        overrides: win over the file and the profile.
        profile: wins over the file; a profile that the file names yields to the file's own keys.
        own: folder of the user's pipelines, which the file may extend; default its own folder.

    Raises:
        SumlError: every fault of the file and the overrides at once.
    """
    faults: list[str] = []
    raw = read(path, faults, overrides, profile, own)
    return checked(path, raw, faults)


def read(
    path: Path,
    faults: list[str],
    overrides: Sequence[str] = (),
    profile: str | None = None,
    own: Path | None = None,
) -> dict[str, Any]:
    """What `load` checks: the settings as they were said, with those of the pipelines extended.

    Keys are dotted (`stage_two.epochs`), values are TOML; a bare word is a string. An override
    that names another backbone or loss drops the options of the former one; such names are
    applied before anything else.

    Raises:
        SumlError: a file that is no TOML, of a newer version, or whose `extends` leads nowhere.
    """
    raw = _extended(path, path.parent if own is None else own, {})
    names = [text for text in overrides if ".name=" in text.replace(" ", "")]
    for text in names:
        parsing.override(Pipeline, raw, text, faults)
    for text in (text for text in overrides if _key(text) == "profile"):
        profile = text.partition("=")[2].strip().strip("\"'")
    profiles.apply(raw, profile)
    for text in overrides:
        if text not in names and _key(text) != "profile":
            parsing.override(Pipeline, raw, text, faults)
    return raw


def checked(path: Path, raw: Mapping[str, Any], faults: list[str]) -> Pipeline:
    """The pipeline that `read` read.

    Raises:
        SumlError: `faults` had some already, or there are more.
    """
    training = {key: value for key, value in raw.items() if key not in FOR_RUN}
    pipeline = parsing.parse(Pipeline, training, faults)
    refuse(path, faults)
    return pipeline


def refuse(path: Path, faults: Sequence[str]) -> None:
    """Raises a SumlError that tells all the faults of a pipeline, if there are any."""
    if faults:
        many = f"{len(faults)} faults" if len(faults) > 1 else "a fault"
        raise SumlError(
            path,
            f"{many} in the pipeline",
            got="; ".join(faults),
            expected="known keys with possible values",
            fix="Correct the file or the --set options.",
        )


def _extended(path: Path, own: Path, above: dict[Path, str]) -> dict[str, Any]:
    """A file's settings over those of the pipeline that it extends, and so on.

    Args:
        path: the file.
        own: folder of the user's pipelines; they shadow shipped ones.
        above: the files that led here, and their names.
    """
    raw = documents.read_toml(path, "a pipeline", "Correct the file.")
    _check_version(path, raw.pop("requires", "0"))
    base = raw.pop("extends", None)
    if base is None:
        return raw
    below = shipped.find("pipelines", str(base), own, f"{path}: extends")
    seen = above | {path: path.stem}
    if below in seen:
        raise SumlError(
            path,
            "pipelines extend each other in a circle",
            got=" → ".join([*seen.values(), below.stem]),
            expected="a pipeline that extends none at the end",
            fix="Remove one `extends`, or give your own pipeline another name.",
        )
    return parsing.merged(Pipeline, _extended(below, own, seen), raw)


def _check_version(path: Path, required: Any) -> None:
    """`requires` is the first version of sumlctl that knows what the pipeline says."""
    needed, have = (_numbers(version) for version in (required, __version__))
    if needed is None or have is None or needed > have:
        raise SumlError(
            path,
            "pipeline of a newer version" if needed else "requires is no version",
            got=f"requires = {parsing.toml(required)}",
            expected=f"at most {__version__}, the version that is installed",
            fix="Install a newer sumlctl, or correct the file.",
        )


def _numbers(version: Any) -> tuple[int, ...] | None:
    numbers = re.match(r"\d{1,9}(\.\d{1,9})*", version) if isinstance(version, str) else None
    return tuple(map(int, numbers[0].split("."))) if numbers else None


def _key(text: str) -> str:
    return text.partition("=")[0].strip()


def overrides(options: Mapping[str, Any]) -> list[str]:
    """Options of a command, by dotted key, as overrides; those that are None are left out."""
    return [f"{key}={parsing.toml(v)}" for key, v in options.items() if v is not None]
