"""Class activation maps: where and when the score of a class comes from (Sec. 4.4, Fig. 4).

A linear head over features that are means of the encoder's maps is the mean of a linear head over
every place of the maps (CAM, arXiv:1512.04150). So the means of a class's maps, one per pathway,
and the bias add up to its logit. Encoders that pool in another way get gradient-weighted maps
instead (Grad-CAM, arXiv:1610.02391), which add up to nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from sumlctl.learning.backbones.backbone import Backbone
from sumlctl.learning.two_view import Branch

PREDICTED = -1  # as a class: the one with the highest score


@dataclass(frozen=True)
class ClassMaps:
    """One class of one task for each clip of a batch.

    Args:
        classes: int64 [B].
        logits: of all classes [B, C].
        score: what the maps explain [B]: the class's logit, or how far it is above the mean logit.
        maps: one per pathway of the encoder [B, T_i, H_i, W_i].
        bias: the part of the score that comes from no place [B].
        exact: whether means of the maps and bias add up to the score.
    """

    classes: Tensor
    logits: Tensor
    score: Tensor
    maps: tuple[Tensor, ...]
    bias: Tensor
    exact: bool


def class_maps(
    branch: Branch, clips: Tensor, classes: Mapping[str, Tensor], relative: bool = False
) -> dict[str, ClassMaps]:
    """Activation maps of one class per task and clip, for the price of a forward pass.

    Args:
        branch: encoder and heads, in evaluation mode, with parameters that ask for no gradients.
        clips: normalised RGB [B, 3, T, H, W], of any size that the encoder takes.
        classes: task -> class of each clip, int64 [B]; `PREDICTED` for the best scored one.
        relative: whether what speaks for all classes of a task alike is left out. A softmax does
            not see it; heads of many rare classes are full of it, as all of them go down together.

    Returns:
        task -> its maps.
    """
    encoder = branch.encoder
    assert isinstance(encoder, Backbone)
    with torch.no_grad():
        features = encoder.feature_maps(clips)
    if encoder.averages_maps:
        return _exact(branch, encoder, features, classes, relative)
    return _by_gradients(branch, encoder, features, classes, relative)


@torch.no_grad()
def _exact(
    branch: Branch,
    encoder: Backbone,
    features: tuple[Tensor, ...],
    classes: Mapping[str, Tensor],
    relative: bool,
) -> dict[str, ClassMaps]:
    pooled = encoder.pooled(features)
    found = {}
    for task, wanted in classes.items():
        head = _head(branch, task)
        logits = head(pooled)
        chosen = _chosen(wanted, logits)
        weight, bias = head.weight[chosen], head.bias[chosen]
        if relative:
            weight, bias = weight - head.weight.mean(dim=0), bias - head.bias.mean()
        shares = weight.split([each.shape[1] for each in features], dim=1)
        pairs = zip(shares, features, strict=True)
        maps = tuple(torch.einsum("bd,bdthw->bthw", share, each) for share, each in pairs)
        score = _score(logits, chosen, relative)
        found[task] = ClassMaps(chosen, logits, score, maps, bias, True)
    return found


@torch.enable_grad()
def _by_gradients(
    branch: Branch,
    encoder: Backbone,
    features: tuple[Tensor, ...],
    classes: Mapping[str, Tensor],
    relative: bool,
) -> dict[str, ClassMaps]:
    first = features[0].detach().requires_grad_()
    pooled = encoder.pooled((first, *features[1:]))
    found = {}
    for task, wanted in classes.items():
        logits = _head(branch, task)(pooled)
        chosen = _chosen(wanted, logits)
        score = _score(logits, chosen, relative)
        (gradient,) = torch.autograd.grad(score.sum(), first, retain_graph=True)
        share = gradient.mean(dim=(2, 3, 4))
        heat = torch.einsum("bd,bdthw->bthw", share, first.detach()).relu()
        nothing = torch.zeros_like(score)
        found[task] = ClassMaps(
            chosen, logits.detach(), score.detach(), (heat,), nothing.detach(), False
        )
    return found


def _score(logits: Tensor, chosen: Tensor, relative: bool) -> Tensor:
    own = logits.gather(1, chosen[:, None])[:, 0]
    return own - logits.mean(dim=1) if relative else own


def _head(branch: Branch, task: str) -> nn.Linear:
    head = branch.heads[task]
    assert isinstance(head, nn.Linear)
    return head


def _chosen(wanted: Tensor, logits: Tensor) -> Tensor:
    wanted = wanted.to(logits.device)
    return torch.where(wanted == PREDICTED, logits.argmax(dim=1), wanted)


def resampled(maps: Sequence[Tensor], frames: int, height: int, width: int) -> Tensor:
    """The pathways' maps at every pixel of every frame, summed.

    In time they reach from the first frame to the last, as SlowFast's slow pathway does; in space
    every place of a map covers as much of the frame as any other.

    Args:
        maps: per pathway [B, T_i, H_i, W_i].
        frames: of the clip.
        height: of its frames in pixels.
        width: of its frames in pixels.

    Returns:
        [B, frames, height, width].
    """
    total = maps[0].new_zeros(())
    for each in maps:
        count, _, *places = each.shape
        flat = each.float().reshape(count, 1, -1, places[0] * places[1])
        size = [frames, flat.shape[3]]
        steps = functional.interpolate(flat, size, mode="bilinear", align_corners=True)
        images = steps.reshape(count, frames, *places)
        total = total + functional.interpolate(
            images, [height, width], mode="bilinear", align_corners=False
        )
    return total
