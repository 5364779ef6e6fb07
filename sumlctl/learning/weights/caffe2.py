"""PySlowFast's model zoo files from Caffe2: pickles of numpy arrays.

Their names follow `slowfast/utils/c2_model_loading.py`: `res2_0_branch2a_w` is a weight of block 0
of stage 2, `t_` marks the fast pathway, `..._subsample_...` the connection from fast to slow,
`_bn_s`, `_bn_b`, `_bn_rm`, `_bn_riv` the scale, bias, mean and variance of a BatchNorm, `pred_` the
classifier. The solver's own blobs lie among them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

_VALUES = {"w": "weight", "b": "bias", "s": "weight", "rm": "running_mean", "riv": "running_var"}
_VALUE = r"(?P<bn>_bn)?_(?P<value>w|s|b|rm|riv)"
_STEM = re.compile(rf"(?P<fast>t_)?(?:res_)?conv1{_VALUE}")
_FUSE = re.compile(rf"t_(?:pool1|res(?P<stage>\d)_\d+_branch2c_bn)_subsample{_VALUE}")
_BLOCK = re.compile(
    rf"(?P<fast>t_)?res(?P<stage>\d)_(?P<block>\d+)_branch(?P<branch>1|2)(?P<part>[abc]?){_VALUE}"
)
_HEAD = re.compile(r"pred_(?P<value>[wb])")
_SOLVER = re.compile(r".*_momentum|lr|model_iter")


def pyslowfast_name(blob: str) -> str | None:
    """PySlowFast's name of a Caffe2 blob; None where it has none in a Slow or SlowFast net."""
    for pattern in (_STEM, _FUSE, _BLOCK, _HEAD):
        if found := pattern.fullmatch(blob):
            return f"{_layer(pattern, found.groupdict())}.{_VALUES[found['value']]}"
    return None


def _layer(pattern: re.Pattern[str], found: Mapping[str, str | None]) -> str:
    norm, pathway = bool(found.get("bn")), 1 if found.get("fast") else 0
    if pattern is _HEAD:
        return "head.projection"
    if pattern is _STEM:
        return f"s1.pathway{pathway}_stem.{'bn' if norm else 'conv'}"
    if pattern is _FUSE:
        return f"s{found['stage'] or 1}_fuse.{'bn' if norm else 'conv_f2s'}"
    part = f".{found['part']}" if found["part"] else ""
    unit = f"s{found['stage']}.pathway{pathway}_res{found['block']}"
    return f"{unit}.branch{found['branch']}{part}{'_bn' if norm else ''}"


def tensors(blobs: Mapping[str, Any]) -> Iterator[tuple[str, str, Tensor]]:
    """The blob's name, PySlowFast's (the blob's if it has none) and the float32 values of each.

    Args:
        blobs: what a file keeps under `blobs`.
    """
    for blob, values in blobs.items():
        numbers = isinstance(values, np.ndarray) and values.dtype.kind in "biuf"
        if numbers and isinstance(blob, str) and not _SOLVER.fullmatch(blob):
            copied = torch.from_numpy(np.array(values, dtype=np.float32))
            yield blob, pyslowfast_name(blob) or blob, copied
