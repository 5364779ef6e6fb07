"""Sets encoders, heads and projections from weights of any layout that we know."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from torch import Tensor, nn

from sumlctl.errors import SumlError
from sumlctl.learning.checkpoints import Coverage
from sumlctl.learning.weights import read
from sumlctl.learning.weights.read import ForeignWeights

_MOST_NAMED = 10
_FIXES = {
    "backbone": "Choose the backbone that the weights are of.",
    "heads": "Use weights of the same classes, or drop the heads.",
}
_COUNTER = "num_batches_tracked"  # of a BatchNorm; unused in evaluation and with a fixed momentum


def load_encoder(encoder: nn.Module, path: Path, view: str = "fpv") -> Coverage:
    """Sets a backbone from a file.

    Args:
        encoder: any of `learning.backbones`; it expects RGB afterwards, whatever the file's did.
        path: weights of any layout that `read.weights` knows.
        view: `fpv` or `tpv`, in a file that has both.

    Returns:
        What was set, and the file's names of what was not used; only counters of BatchNorms may
        be missing, and keep their values.

    Raises:
        SumlError: the file cannot be read, lacks weights of the backbone or has others in their
            place; nothing is set then.
    """
    return set_encoder(encoder, read.weights(path), view)


def set_branch(
    branch: nn.Module, found: ForeignWeights, view: str = "fpv", drop_heads: bool = False
) -> Coverage:
    """Sets a branch of the two-view model: encoder, heads and projection.

    Args:
        branch: with the parts `encoder`, `heads` and `projection`, as `two_view.Branch` has them.
        found: the file, as `read.weights` gives it.
        view: `fpv` or `tpv`, in a file that has both.
        drop_heads: leave heads and a projection that the file lacks, or has in another size, as
            they are, and report them as missing.

    Returns:
        As `load_encoder`, with the branch's names.

    Raises:
        SumlError: as `load_encoder`; a head is missing or of another size, unless dropped.
    """
    own = {n: w for n, w in branch.state_dict().items() if not n.startswith("encoder.")}
    given = {
        f"{part}.{name}": weight
        for part in ("heads", "projection")
        for name, weight in found.part(view, part).items()
    }
    if drop_heads:
        given = {n: w for n, w in given.items() if n in own and w.shape == own[n].shape}
    else:
        _check(found.path, own, given, "heads")
    inside = set_encoder(branch.get_submodule("encoder"), found, view)
    outside = [name for name in own if name in given]
    branch.load_state_dict({name: given[name] for name in outside}, strict=False)
    loaded = [*(f"encoder.{name}" for name in inside.loaded), *outside]
    missing = [*(f"encoder.{name}" for name in inside.missing), *(n for n in own if n not in given)]
    prefix = found.prefix(view)
    left = unused(found, {f"{prefix}{name}" for name in loaded})
    return Coverage(tuple(loaded), tuple(missing), left)


def set_encoder(encoder: nn.Module, found: ForeignWeights, view: str = "fpv") -> Coverage:
    """Sets a backbone from weights that are read already; as `load_encoder`."""
    own = encoder.state_dict()
    given = fitting(own, found, view)
    loaded = tuple(name for name in own if name in given)
    encoder.load_state_dict({name: given[name] for name in loaded}, strict=False)
    missing = tuple(name for name in own if name not in given)
    start = f"{found.prefix(view)}encoder."
    return Coverage(loaded, missing, unused(found, {f"{start}{name}" for name in loaded}))


def fitting(
    own: Mapping[str, Tensor], found: ForeignWeights, view: str = "fpv"
) -> dict[str, Tensor]:
    """The file's weights of an encoder, by its names, once they are known to fit.

    Args:
        own: the encoder's state dict, for names and shapes.
        found: the file.
        view: as `load_encoder` has it.

    Raises:
        SumlError: weights other than BatchNorm counters are missing or of another shape.
    """
    given = found.part(view, "encoder")
    _check(found.path, own, given, "backbone")
    return given


def unused(found: ForeignWeights, used: Collection[str]) -> tuple[str, ...]:
    """The file's names of all weights but the used ones.

    Args:
        found: the file.
        used: our names, as `found.weights` has them.
    """
    return (*(s for ours, s in found.sources.items() if ours not in used), *found.unknown)


def listed(names: Sequence[str]) -> str:
    """The first ten names, and how many more there are."""
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _check(path: Path, own: Mapping[str, Tensor], given: Mapping[str, Tensor], whose: str) -> None:
    """Insists that every weight is there in its shape."""
    missing = [name for name in own if name not in given and not name.endswith(_COUNTER)]
    if missing:
        raise SumlError(
            path,
            f"{len(missing)} weights of the {whose} are missing",
            got=f"none for {listed(missing)}",
            expected=f"all {len(own)}",
            fix=_FIXES[whose],
        )
    other = [
        f"{name} {[*given[name].shape]} instead of {[*weight.shape]}"
        for name, weight in own.items()
        if name in given and given[name].shape != weight.shape
    ]
    if other:
        raise SumlError(
            path,
            f"{len(other)} weights have another shape than the {whose}",
            got=listed(other),
            expected="the shapes of the model",
            fix=_FIXES[whose],
        )
