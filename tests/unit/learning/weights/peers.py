"""PySlowFast's networks, written down from its naming rules: random weights and a forward pass.

Nothing here knows how sumlctl translates names, so that a translation can be held against it.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

DEPTHS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
STAGES = (2, 3, 4, 5)
# Temporal kernels of the first convolution in a block, by stage, and of the stem.
SLOW, FAST = {1: 1, 2: 1, 3: 1, 4: 3, 5: 3}, {1: 5, 2: 3, 3: 3, 4: 3, 5: 3}
Shapes = Iterator[tuple[str, tuple[int, ...]]]


def norm(name: str, channels: int) -> Shapes:
    for value in ("weight", "bias", "running_mean", "running_var"):
        yield f"{name}.{value}", (channels,)
    yield f"{name}.num_batches_tracked", ()


def layer(conv: str, bn: str, shape: tuple[int, ...]) -> Shapes:
    yield f"{conv}.weight", shape
    yield from norm(bn, shape[0])


def shapes(depth: int = 50, fast: bool = True, fusion: int = 7, t: str = "") -> Shapes:
    """Names and shapes of the trunk; `t` is what SUM-L appends to its third-person stages."""
    for p in (0, 1) if fast else (0,):
        stem = f"s1{t}.pathway{p}_stem"
        kernel = (FAST if p else SLOW)[1]
        yield from layer(f"{stem}.conv", f"{stem}.bn", (8 if p else 64, 3, kernel, 7, 7))
    for stage, blocks in zip(STAGES, DEPTHS[depth], strict=True):
        for p in (0, 1) if fast else (0,):
            yield from stage_shapes(stage, blocks, p, fast, t)
    for stage, channels in zip((1, 2, 3, 4), (8, 32, 64, 128), strict=True) if fast else ():
        fuse = f"s{stage}_fuse{t}"
        shape = (2 * channels, channels, fusion, 1, 1)
        yield from layer(f"{fuse}.conv_f2s", f"{fuse}.bn", shape)


def stage_shapes(stage: int, blocks: int, p: int, fast: bool, t: str) -> Shapes:
    share = 8 if p else 1
    out = 64 * 2**stage // share
    inner = out // 4
    before = 64 // share if stage == 2 else out // 2
    if fast and p == 0:
        before += before // 4  # what the fast pathway sends
    kernel = (FAST if p else SLOW)[stage]
    for n in range(blocks):
        block = f"s{stage}{t}.pathway{p}_res{n}"
        given = before if n == 0 else out
        if n == 0:
            yield from layer(f"{block}.branch1", f"{block}.branch1_bn", (out, given, 1, 1, 1))
        for part, shape in {
            "a": (inner, given, kernel, 1, 1),
            "b": (inner, inner, 1, 3, 3),
            "c": (out, inner, 1, 1, 1),
        }.items():
            yield from layer(f"{block}.branch2.{part}", f"{block}.branch2.{part}_bn", shape)


def head(name: str, *sizes: int, features: int = 2304) -> Shapes:
    """One classifier `projection`, or several `projections.N`."""
    for i, size in enumerate(sizes):
        projection = f"{name}.projections.{i}" if len(sizes) > 1 else f"{name}.projection"
        yield f"{projection}.weight", (size, features)
        yield f"{projection}.bias", (size,)


@cache
def trunk(fast: bool) -> dict[str, Tensor]:
    """A network of 50 layers with random values."""
    return filled(shapes(fast=fast), seed=1)


def filled(*named: Shapes, seed: int = 0) -> dict[str, Tensor]:
    """Random values that neither vanish nor explode on their way through the network."""
    made = torch.Generator().manual_seed(seed)
    return {name: value(name, shape, made) for shapes in named for name, shape in shapes}


def value(name: str, shape: tuple[int, ...], made: torch.Generator) -> Tensor:
    if name.endswith("num_batches_tracked"):
        return torch.tensor(7)
    if name.endswith("running_var") or (name.endswith("weight") and len(shape) == 1):
        return 0.5 + torch.rand(shape, generator=made)
    scale = 0.1 if len(shape) == 1 else (2 / np.prod(shape[1:])) ** 0.5
    return scale * torch.randn(shape, generator=made)


def hollow(*named: Shapes) -> dict[str, Tensor]:
    """The same names and shapes, taking no room."""
    return {name: torch.zeros(()).expand(shape) for shapes in named for name, shape in shapes}


def features(weights: Mapping[str, Tensor], clips: Tensor, t: str = "") -> Tensor:
    """Pooled features of PySlowFast's network, in evaluation.

    Args:
        weights: in its names.
        clips: [N, 3, T, H, W], in the order of channels that the weights expect.
        t: what SUM-L appends to its third-person stages.
    """
    fast = f"s1{t}.pathway1_stem.conv.weight" in weights
    time = clips.shape[2]
    slow = clips[:, :, torch.linspace(0, time - 1, time // 4).long()] if fast else clips
    paths = [slow, clips] if fast else [slow]
    paths = [stem(weights, f"s1{t}.pathway{p}_stem", x) for p, x in enumerate(paths)]
    for stage in STAGES:
        if fast:
            paths = [fused(weights, f"s{stage - 1}_fuse{t}", *paths), paths[1]]
        for p in range(len(paths)):
            n = 0
            while f"s{stage}{t}.pathway{p}_res{n}.branch2.a.weight" in weights:
                stride = 2 if n == 0 and stage > 2 else 1
                paths[p] = block(weights, f"s{stage}{t}.pathway{p}_res{n}", paths[p], stride)
                n += 1
    return torch.cat([x.mean(dim=(2, 3, 4)) for x in paths], dim=1)


def normed(weights: Mapping[str, Tensor], name: str, x: Tensor) -> Tensor:
    mean, var = weights[f"{name}.running_mean"], weights[f"{name}.running_var"]
    return functional.batch_norm(x, mean, var, weights[f"{name}.weight"], weights[f"{name}.bias"])


def convolved(
    weights: Mapping[str, Tensor], conv: str, bn: str, x: Tensor, stride: tuple[int, int, int]
) -> Tensor:
    kernel = weights[f"{conv}.weight"]
    padding = tuple(size // 2 for size in kernel.shape[2:])
    return normed(weights, bn, functional.conv3d(x, kernel, stride=stride, padding=padding))


def stem(weights: Mapping[str, Tensor], name: str, x: Tensor) -> Tensor:
    x = convolved(weights, f"{name}.conv", f"{name}.bn", x, (1, 2, 2)).relu()
    return functional.max_pool3d(x, (1, 3, 3), (1, 2, 2), (0, 1, 1))


def fused(weights: Mapping[str, Tensor], name: str, slow: Tensor, fast: Tensor) -> Tensor:
    sent = convolved(weights, f"{name}.conv_f2s", f"{name}.bn", fast, (4, 1, 1)).relu()
    return torch.cat([slow, sent], dim=1)


def block(weights: Mapping[str, Tensor], name: str, x: Tensor, stride: int) -> Tensor:
    def part(which: str, x: Tensor, step: int = 1) -> Tensor:
        return convolved(weights, f"{name}.{which}", f"{name}.{which}_bn", x, (1, step, step))

    shortcut = part("branch1", x, stride) if f"{name}.branch1.weight" in weights else x
    inner = part("branch2.a", x).relu()
    inner = part("branch2.b", inner, stride).relu()
    return (shortcut + part("branch2.c", inner)).relu()


class OurEncoder(nn.Module):
    """pytorchvideo's network without its head, and the pooling of our backbones."""

    def __init__(self, fast: bool, depth: int = 50, fusion: int = 7) -> None:
        super().__init__()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from pytorchvideo.models import resnet, slowfast
        self.fast = fast
        no_head = {"head": lambda **_: nn.Identity(), "model_depth": depth}
        if fast:
            kernel = {"slowfast_fusion_conv_kernel_size": (fusion, 1, 1)}
            self.blocks = slowfast.create_slowfast(**no_head, **kernel).blocks[:5]
        else:
            kernel = {"stem_conv_kernel_size": (1, 7, 7)}
            self.blocks = resnet.create_resnet(**no_head, **kernel).blocks[:5]
        self.feature_dim = 2304 if fast else 2048

    def forward(self, clips: Tensor) -> Tensor:
        time = clips.shape[2]
        slow = clips[:, :, torch.linspace(0, time - 1, time // 4).long()]
        x = [slow, clips] if self.fast else clips
        for stage in self.blocks:
            x = stage(x)
        return torch.cat([y.mean(dim=(2, 3, 4)) for y in (x if self.fast else [x])], dim=1)


def empty(fast: bool, depth: int = 50, fusion: int = 7) -> OurEncoder:
    """An encoder whose weights are anything."""
    with torch.device("meta"):
        encoder = OurEncoder(fast, depth, fusion)
    return encoder.to_empty(device="cpu")


def clips() -> Tensor:
    """A clip whose channels differ: [1, 3, 8, 48, 48]."""
    noise = torch.randn(1, 3, 8, 48, 48, generator=torch.Generator().manual_seed(5))
    return noise + torch.tensor([1.0, 0.0, -1.0]).view(3, 1, 1, 1)


def saved(path: Path, weights: Mapping[str, Tensor], cfg: str = "TRAIN: {}\n") -> Path:
    """A `.pyth` file as PySlowFast writes it."""
    content = {"epoch": 3, "model_state": dict(weights), "optimizer_state": {}, "cfg": cfg}
    torch.save(content, path)
    return path
