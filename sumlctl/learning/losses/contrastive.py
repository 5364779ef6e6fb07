"""Contrastive alignment between views and between video and text (Sec. 3.2 and 3.3).

Every vector is a unit-norm row, so that a dot product is a cosine. Similarities and their
log-sum-exp are computed in at least float32, also under autocast, and nothing waits for the device.
"""

from __future__ import annotations

import torch
from torch import Tensor

NEGATIVES = ("cross", "cross+intra")


def info_nce(a: Tensor, b: Tensor, temperature: float) -> Tensor:
    """InfoNCE from `a` to `b`, one way (Eq. 3-4).

    Args:
        a: unit-norm rows [N, d].
        b: unit-norm rows [N, d]; row i is the positive of row i of `a`, the others its negatives.
        temperature: tau, above 0.

    Returns:
        The mean over the N rows; 0 (with gradient) for an empty batch.
    """
    logits = _cosines(a, b) / temperature
    rows = torch.logsumexp(logits, dim=1) - logits.diagonal()
    return rows.sum() / max(len(rows), 1)


def decoupled(
    a: Tensor,
    b: Tensor,
    temperature: float,
    weights: Tensor | None = None,
    negatives: str = "cross",
) -> Tensor:
    """Decoupled contrastive loss from `a` to `b`, one way (Eq. 6; Eq. 9 with `weights`).

    Args:
        a: unit-norm rows [N, d].
        b: unit-norm rows [N, d]; row i is the positive of row i of `a`.
        temperature: tau, above 0.
        weights: omega [N], factors of the positives; None for 1.
        negatives: `cross` takes the other N-1 rows of `b` (Eq. 4); `cross+intra` also the other
            N-1 rows of `a`, as the released code does.

    Returns:
        The mean over the N rows; 0 (with gradient) for fewer than 2 rows, which have no negatives.

    Raises:
        ValueError: `negatives` is neither.
    """
    keep = torch.ones(len(a), dtype=torch.bool, device=a.device)
    logits = _cosines(a, b) / temperature
    return _decoupled(logits, keep, weights, _intra(a, temperature, negatives))


def semantic_weights(d_f: Tensor, d_t: Tensor, sigma: float) -> Tensor:
    """Weights omega of the pseudo-pairs, with mean 1 (Eq. 10).

    Args:
        d_f: unit-norm narration vectors of the FPV clips [N, d].
        d_t: unit-norm narration vectors of their TPV partners [N, d].
        sigma: temperature of the weighting, above 0.

    Returns:
        [N], in at least float32.
    """
    keep = torch.ones(len(d_f), dtype=torch.bool, device=d_f.device)
    return _semantic_weights(_pair_cosines(d_f, d_t), keep, sigma)


def cross_view(
    z_f: Tensor,
    z_t: Tensor,
    d_f: Tensor,
    d_t: Tensor,
    temperature: float,
    sigma: float,
    threshold: float,
    weighted: bool = True,
    negatives: str = "cross",
) -> Tensor:
    """Semantics-based cross-view alignment of the similar pseudo-pairs, both ways (Eq. 7-10).

    Pairs whose narrations are more similar than `threshold` are kept; the mean over rows, the
    negatives of Eq. 4 and the expectation of Eq. 10 all run over kept pairs only.

    Args:
        z_f: unit-norm features of the FPV clips [N, d].
        z_t: unit-norm features of their TPV partners [N, d].
        d_f: unit-norm narration vectors of the FPV clips [N, e].
        d_t: unit-norm narration vectors of the TPV clips [N, e].
        temperature: tau, above 0.
        sigma: temperature of the weighting, above 0.
        threshold: cosine that a kept pair exceeds.
        weighted: L_aw (Eq. 8-10) when true, L_a (Eq. 7) otherwise.
        negatives: as in `decoupled`.

    Returns:
        L_aw or L_a; 0 (with gradient) when fewer than 2 pairs are kept.

    Raises:
        ValueError: `negatives` is neither.
    """
    similarity = _pair_cosines(d_f, d_t)
    keep = similarity > threshold
    weights = _semantic_weights(similarity, keep, sigma) if weighted else None
    logits = _cosines(z_f, z_t) / temperature
    intra_f, intra_t = (_intra(z, temperature, negatives) for z in (z_f, z_t))
    forth = _decoupled(logits, keep, weights, intra_f)
    return forth + _decoupled(logits.T, keep, weights, intra_t)


def video_text(
    z_f: Tensor,
    d_f: Tensor,
    z_t: Tensor,
    d_t: Tensor,
    temperature: float,
    negatives: str = "cross",
) -> Tensor:
    """Video-text alignment of both views with their narrations (Eq. 11).

    Args:
        z_f: unit-norm features of the FPV clips [N, d].
        d_f: unit-norm narration vectors of the FPV clips [N, d].
        z_t: unit-norm features of the TPV clips [N, d].
        d_t: unit-norm narration vectors of the TPV clips [N, d].
        temperature: tau, above 0.
        negatives: as in `decoupled`.

    Returns:
        The sum of the four one-way terms; 0 (with gradient) for fewer than 2 rows.
    """
    ways = ((z_f, d_f), (d_f, z_f), (z_t, d_t), (d_t, z_t))
    terms = [decoupled(a, b, temperature, negatives=negatives) for a, b in ways]
    return torch.stack(terms).sum()


def _intra(z: Tensor, temperature: float, negatives: str) -> Tensor | None:
    """Logits of the negatives in the row's own view, where they are asked for."""
    if negatives not in NEGATIVES:
        raise ValueError(f"negatives must be one of {', '.join(NEGATIVES)}, not {negatives!r}")
    return _cosines(z, z) / temperature if negatives == "cross+intra" else None


def _decoupled(
    logits: Tensor, keep: Tensor, weights: Tensor | None, intra: Tensor | None = None
) -> Tensor:
    """Mean over kept rows of log S_i - omega_i * logits_ii, S_i over the kept columns j != i."""
    lowest = torch.finfo(logits.dtype).min
    others = keep & ~torch.eye(len(logits), dtype=torch.bool, device=logits.device)
    candidates = logits.masked_fill(~others, lowest)
    if intra is not None:
        candidates = torch.cat([candidates, intra.masked_fill(~others, lowest)], dim=1)
    positives = logits.diagonal() if weights is None else weights * logits.diagonal()
    rows = torch.logsumexp(candidates, dim=1) - positives
    kept = keep.sum()
    # Masks, not indexing: the number of kept pairs stays on the device.
    mean = torch.where(keep, rows, 0).sum() / kept.clamp(min=1)
    return torch.where(kept >= 2, mean, 0 * logits.sum())


def _semantic_weights(similarity: Tensor, keep: Tensor, sigma: float) -> Tensor:
    lowest = torch.finfo(similarity.dtype).min
    kept = (similarity / sigma).masked_fill(~keep, lowest)
    return torch.softmax(kept, dim=0) * keep.sum()


def _cosines(a: Tensor, b: Tensor) -> Tensor:
    """All dot products [N, N]."""
    _check(a, b)
    with torch.autocast(a.device.type, enabled=False):
        return _wide(a) @ _wide(b).T


def _pair_cosines(a: Tensor, b: Tensor) -> Tensor:
    """Dot products of rows of the same number [N]."""
    _check(a, b)
    return (_wide(a) * _wide(b)).sum(dim=1)


def _wide(x: Tensor) -> Tensor:
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def _check(a: Tensor, b: Tensor) -> None:
    if a.ndim != 2 or a.shape != b.shape:
        raise ValueError(f"expected two [N, d] of one shape, got {[*a.shape]} and {[*b.shape]}")
