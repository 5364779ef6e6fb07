"""The order of colours that weights expect, and the turn to RGB.

PySlowFast and its descendants read image folders (Charades, SSv2, EPIC-KITCHENS) with OpenCV, which
gives BGR, and decode videos (Kinetics) to RGB; DATA.REVERSE_INPUT_CHANNEL turns either around. The
published Charades and SSv2 configurations set it, those of Ego-Exo and SUM-L do not. SUM-L turns
its third-person frames to RGB itself (`_images_and_boxes_preprocessing`). The Caffe2 files of the
model zoo are tested on Kinetics without the option, in RGB.
"""

from __future__ import annotations

import re

from torch import Tensor

# Names of loaders that read images; pytorchvideo's are turned to BGR behind the reader.
_BGR_LOADERS = ("charades", "epickitchen", "ptvcharades", "ptvssv2", "ssv2")
_LOADER = re.compile(r"^TRAIN:\n(?: .*\n)*?  DATASET: (\S+)", re.MULTILINE)
_REVERSED = re.compile(r"^ +REVERSE_INPUT_CHANNEL: true\s*$", re.MULTILINE | re.IGNORECASE)
_STEM = re.compile(r"encoder\.blocks\.0\.(?:multipathway_blocks\.\d\.)?conv\.weight")


def reversed_input(cfg: str) -> bool:
    """Whether a PySlowFast configuration turns the channels of its frames around."""
    return bool(_REVERSED.search(cfg))


def trained_on_bgr(cfg: str) -> bool | None:
    """Whether the network of a PySlowFast configuration saw BGR; None when it names no loader.

    Args:
        cfg: the configuration as the checkpoint keeps it, in YAML.
    """
    loader = _LOADER.search(cfg)
    if loader is None:
        return None
    return loader[1].lower().startswith(_BGR_LOADERS) != reversed_input(cfg)


def turn(weights: dict[str, Tensor], prefix: str = "") -> None:
    """Makes an encoder that expects BGR expect RGB, or the reverse, in place.

    Args:
        weights: in our names; each pathway's first convolution is [C, 3, T, H, W].
        prefix: of the branch, such as `fpv.`.
    """
    for name, weight in weights.items():
        stem = name.startswith(prefix) and _STEM.fullmatch(name.removeprefix(prefix))
        if stem and weight.dim() > 1:  # of another form, it fits no encoder
            weights[name] = weight.flip(1)
