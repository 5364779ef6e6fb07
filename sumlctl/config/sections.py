"""The sections of a pipeline: one dataclass each, every key with its default and its limits."""

from __future__ import annotations

from dataclasses import dataclass, field

from sumlctl.config.parsing import limits

# Who decodes videos: `auto` is PyAV, and decord for what PyAV fails at.
DECODERS = ("auto", "decord", "pyav")
# `input.rate`: that of the pictures that a dataset was published as.
PUBLISHED = "published"
# Table 6: how the third-person encoder starts and whether it learns.
TPV_ENCODERS = ("original", "frozen", "shared", "same-init")


@dataclass(frozen=True)
class Data:
    """Which tables a run reads; what is left empty comes from the newest pairs table.

    Args:
        fpv: dataset of the first-person clips.
        tpv: datasets of the third-person clips, one pool.
        encoder: the narration encoder.
        match: how the pairs were mined: by `text` alone, or by `labels` first.
        train_split: split that is trained on.
        eval_split: split that is validated on and that `eval` predicts.
    """

    fpv: str = ""
    tpv: list[str] = field(default_factory=list)
    encoder: str = ""
    match: str = field(default="text", metadata=limits(choices=("text", "labels")))
    train_split: str = "train"
    eval_split: str = "val"


@dataclass(frozen=True)
class Input:
    """What the encoders see.

    Args:
        frames: frames per window.
        stride: frames from one frame of the window to the next.
        rate: frames per second that `frames` and `stride` count in, whatever a video's own rate:
            a number, or `published` for the `fps` of each dataset's configuration, and where it
            has none, as with 0, the video's own.
        short_side: range of the jittered short side in pixels, before the crop.
        crop: side of the square crop in pixels.
        flip: whether half of the training clips are mirrored.
    """

    frames: int = field(default=32, metadata=limits(at_least=1))
    stride: int = field(default=2, metadata=limits(at_least=1))
    rate: float | str = field(
        default=0.0, metadata=limits(at_least=0, choices=(PUBLISHED,), later=True)
    )
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
class Encoders:
    """How both video encoders start (Sec. 3.4), and the setups of Table 6.

    Args:
        init: weights file that both encoders start from; empty for random weights.
        tpv: `original` trains the third-person encoder alone first (stage one); `frozen` does so
            too, then keeps it as it is; `shared` is one encoder for both views; `same-init`
            starts it as the first-person one. The last two have no stage one.
    """

    init: str = ""
    tpv: str = field(default="original", metadata=limits(choices=TPV_ENCODERS))

    @property
    def stage_one(self) -> bool:
        """Whether the third-person encoder is trained alone first."""
        return self.tpv in ("original", "frozen")


@dataclass(frozen=True)
class Projection:
    """The linear projections h_f and h_t of Eq. 5.

    Args:
        size: dimension of their output; 0 for that of the narration vectors, the only one that
            the video-text loss can compare with.
        unit_features: whether features are scaled to unit length before the projection.
    """

    size: int = field(default=0, metadata=limits(at_least=0))
    unit_features: bool = False


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
        batch_size: clips, or pairs of clips, per device and forward pass.
        learning_rate: base learning rate.
    """

    epochs: int = field(default=30, metadata=limits(at_least=1))
    batch_size: int = field(default=64, metadata=limits(at_least=2))
    learning_rate: float = field(default=0.01, metadata=limits(above=0))


@dataclass(frozen=True)
class Optimiser:
    """Gradient descent and the course of its learning rate (Sec. 4.1.3).

    Args:
        name: `sgd`, as in the paper, or `adamw`.
        momentum: of SGD; the first beta of AdamW.
        weight_decay: L2 penalty of SGD, decoupled decay of AdamW.
        norm_weight_decay: the same for normalisation layers; 0 as in PySlowFast.
        clip_norm: largest norm of the whole gradient; 0 for no clipping.
        accumulate: batches whose gradients are added up for one step. Contrastive negatives
            come from one batch at a time.
        rate_for_batch: the global batch that learning rates are meant for: they are scaled by
            clips per step over this number. 0 leaves them as they are.
        schedule: `cosine` to zero, `steps` down, or `constant`.
        steps: epochs after which `steps` multiplies the rate by `decay`.
        decay: factor of each step.
        warmup_epochs: epochs of linear rise from zero.
    """

    name: str = field(default="sgd", metadata=limits(choices=("sgd", "adamw")))
    momentum: float = field(default=0.9, metadata=limits(at_least=0, at_most=0.9999))
    weight_decay: float = field(default=1e-4, metadata=limits(at_least=0))
    norm_weight_decay: float = field(default=0.0, metadata=limits(at_least=0))
    clip_norm: float = field(default=0.0, metadata=limits(at_least=0))
    accumulate: int = field(default=1, metadata=limits(at_least=1))
    rate_for_batch: int = field(default=0, metadata=limits(at_least=0))
    schedule: str = field(default="steps", metadata=limits(choices=("cosine", "steps", "constant")))
    steps: list[float] = field(default_factory=lambda: [20.0, 25.0], metadata=limits(above=0))
    decay: float = field(default=0.1, metadata=limits(above=0, at_most=1))
    warmup_epochs: float = field(default=0.0, metadata=limits(at_least=0))

    def contradictions(self) -> list[str]:
        if sorted(set(self.steps)) != self.steps:
            return [f"steps = {self.steps} does not ascend"]
        return []


@dataclass(frozen=True)
class Checkpoints:
    """What is kept on disk while training, besides the last weights of each stage.

    Args:
        latest_every_s: seconds between two writes of `latest.pt`, which `--resume` goes on from;
            it is also written on interruption.
        keep_every: epochs between two files `<stage>.epoch_<n>.pt`; 0 for none.
        validate_every: epochs between two validations of stage two, which choose `best.pt`;
            0 for none.
    """

    latest_every_s: float = field(default=600.0, metadata=limits(above=0))
    keep_every: int = field(default=0, metadata=limits(at_least=0))
    validate_every: int = field(default=5, metadata=limits(at_least=0))


@dataclass(frozen=True)
class Log:
    """What is told about a run while it goes.

    Args:
        every: batches between two lines of log.jsonl.
        tensorboard: whether to write TensorBoard files too.
        wandb: project of Weights & Biases to report to; empty for none.
    """

    every: int = field(default=10, metadata=limits(at_least=1))
    tensorboard: bool = False
    wandb: str = ""


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
