"""A run's settings: one TOML becomes one checked `Pipeline`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sumlctl import settings
from sumlctl.errors import SumlError
from sumlctl.settings import Component, limits


@dataclass(frozen=True)
class Data:
    """Which tables a run reads; what is left empty comes from the newest pairs table.

    Args:
        fpv: dataset of the first-person clips.
        tpv: datasets of the third-person clips, one pool.
        encoder: the narration encoder.
        train_split: split that is trained on.
        eval_split: split that `eval` predicts.
    """

    fpv: str = ""
    tpv: list[str] = field(default_factory=list)
    encoder: str = ""
    train_split: str = "train"
    eval_split: str = "val"


@dataclass(frozen=True)
class Input:
    """What the encoders see.

    Args:
        frames: frames per window.
        stride: video frames from one frame of the window to the next.
        short_side: range of the jittered short side in pixels, before the crop.
        crop: side of the square crop in pixels.
        flip: whether half of the training clips are mirrored.
    """

    frames: int = field(default=32, metadata=limits(at_least=1))
    stride: int = field(default=2, metadata=limits(at_least=1))
    short_side: list[int] = field(default_factory=lambda: [256, 320], metadata=limits(at_least=1))
    crop: int = field(default=256, metadata=limits(at_least=1))
    flip: bool = True

    def contradictions(self) -> list[str]:
        if len(self.short_side) != 2 or self.short_side[0] > self.short_side[1]:
            return [f"short_side = {self.short_side} is not [smallest, largest]"]
        if self.crop > self.short_side[0]:
            return [f"crop = {self.crop} is larger than the short side {self.short_side[0]}"]
        return []


@dataclass(frozen=True)
class Head:
    """The task heads.

    Args:
        dropout: share of features dropped in front of each head.
    """

    dropout: float = field(default=0.4, metadata=limits(at_least=0, at_most=0.99))


@dataclass(frozen=True)
class Stage:
    """One stage of training (Sec. 3.4).

    Args:
        epochs: passes over the training clips.
        batch_size: clips, or pairs of clips, per device and step.
        learning_rate: base learning rate.
    """

    epochs: int = field(default=30, metadata=limits(at_least=1))
    batch_size: int = field(default=64, metadata=limits(at_least=2))
    learning_rate: float = field(default=0.01, metadata=limits(above=0))


@dataclass(frozen=True)
class Optimiser:
    """Stochastic gradient descent and the course of its learning rate (Sec. 4.1.3).

    Args:
        momentum: momentum of the gradient.
        weight_decay: L2 penalty.
        schedule: `cosine` to zero, `steps` down, or `constant`.
        steps: epochs after which `steps` multiplies the rate by `decay`.
        decay: factor of each step.
        warmup_epochs: epochs of linear rise from zero.
    """

    momentum: float = field(default=0.9, metadata=limits(at_least=0, at_most=1))
    weight_decay: float = field(default=1e-4, metadata=limits(at_least=0))
    schedule: str = field(default="steps", metadata=limits(choices=("cosine", "steps", "constant")))
    steps: list[float] = field(default_factory=lambda: [20.0, 25.0], metadata=limits(above=0))
    decay: float = field(default=0.1, metadata=limits(above=0, at_most=1))
    warmup_epochs: float = field(default=0.0, metadata=limits(at_least=0))

    def contradictions(self) -> list[str]:
        if sorted(set(self.steps)) != self.steps:
            return [f"steps = {self.steps} does not ascend"]
        return []


@dataclass(frozen=True)
class Evaluation:
    """How `eval` predicts.

    Args:
        temporal_views: windows per clip.
        spatial_views: crops per window, along the longer side.
        batch_size: clips per step.
    """

    temporal_views: int = field(default=10, metadata=limits(at_least=1))
    spatial_views: int = field(default=3, metadata=limits(at_least=1))
    batch_size: int = field(default=8, metadata=limits(at_least=1))


@dataclass(frozen=True)
class Pipeline:
    """Everything that a run depends on.

    Args:
        title: what it is, in one line.
        seed: the only source of randomness.
        precision: arithmetic, in Lightning Fabric's names; `auto` is bf16-mixed where a GPU has it.
        devices: processes that train, one device each.
        workers: processes that decode, per device; 0 decodes in the training process.
        cache_mb: memory for decoded clips, per decoding process.
        log_every: steps between two lines of log.jsonl.
    """

    title: str = ""
    seed: int = field(default=0, metadata=limits(at_least=0))
    precision: str = field(
        default="auto", metadata=limits(choices=("auto", "32-true", "bf16-mixed", "16-mixed"))
    )
    devices: int = field(default=1, metadata=limits(at_least=1))
    workers: int = field(default=4, metadata=limits(at_least=0))
    cache_mb: int = field(default=0, metadata=limits(at_least=0))
    log_every: int = field(default=10, metadata=limits(at_least=1))
    data: Data = field(default_factory=Data)
    input: Input = field(default_factory=Input)
    backbone: Component = field(default=Component("r3d50"), metadata={"kind": "backbones"})
    head: Head = field(default_factory=Head)
    loss: Component = field(default=Component("sum-l"), metadata={"kind": "losses"})
    stage_one: Stage = field(default_factory=Stage)
    stage_two: Stage = field(default_factory=Stage)
    optimiser: Optimiser = field(default_factory=Optimiser)
    evaluation: Evaluation = field(default_factory=Evaluation)


def load(path: Path, overrides: Sequence[str] = ()) -> Pipeline:
    """Reads a pipeline, applies `KEY=VALUE` overrides, checks everything.

    Keys are dotted (`stage_two.epochs`), values are TOML; a bare word is a string. An override
    that names another backbone or loss drops the options of the former one; such names are
    applied before anything else.

    Raises:
        SumlError: every fault of the file and the overrides at once.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SumlError(
            path, "not valid TOML", got=error, expected="a pipeline", fix="Correct the file."
        ) from error
    faults: list[str] = []
    for text in sorted(overrides, key=lambda text: ".name=" not in text.replace(" ", "")):
        settings.override(Pipeline, raw, text, faults)
    pipeline = settings.parse(Pipeline, raw, faults)
    if faults:
        many = f"{len(faults)} faults" if len(faults) > 1 else "a fault"
        raise SumlError(
            path,
            f"{many} in the pipeline",
            got="; ".join(faults),
            expected="known keys with possible values",
            fix="Correct the file or the --set options.",
        )
    return pipeline


def overrides(options: Mapping[str, Any]) -> list[str]:
    """Options of a command, by dotted key, as overrides; those that are None are left out."""
    return [f"{key}={settings.toml(v)}" for key, v in options.items() if v is not None]
