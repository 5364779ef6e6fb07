"""Methods: which terms, with which weights."""

from __future__ import annotations

import pytest
import torch

from sumlctl.config import registry
from sumlctl.learning.losses import contrastive
from sumlctl.learning.losses.terms import Outputs
from sumlctl.learning.losses.triplet import triplet


@pytest.fixture
def outputs() -> Outputs:
    random = torch.Generator().manual_seed(0)
    unit = torch.nn.functional.normalize
    z_f, z_t, d_f = (unit(torch.randn(6, 4, generator=random), dim=1) for _ in range(3))
    # Narrations alike enough that most pairs pass the threshold.
    d_t = unit(d_f + 0.2 * torch.randn(6, 4, generator=random), dim=1)
    similarity = (d_f * d_t).sum(dim=1)
    return Outputs(torch.tensor(2.0), torch.tensor(3.0), z_f, z_t, d_f, d_t, similarity)


def build(name: str, **options):
    return registry.load("losses", name)(**options)


def test_sum_l_is_equation_12_with_the_released_weights(outputs):
    o = outputs
    terms = build("sum-l")(o)
    assert {name: term.weight for name, term in terms.items()} == {
        "l_f": 1.0,
        "l_t": 0.1,
        "l_aw": 0.02,
        "l_m": 0.1,
        "kept_share": 0.0,
    }
    l_aw = contrastive.cross_view(o.z_f, o.z_t, o.d_f, o.d_t, 0.06, 0.1, 0.5)
    assert terms["l_aw"].value == l_aw != 0
    assert terms["l_m"].value == contrastive.video_text(o.z_f, o.d_f, o.z_t, o.d_t, 0.06)
    assert (terms["l_f"].value, terms["l_t"].value) == (o.l_f, o.l_t)


def test_the_kept_share_is_logged(outputs):
    threshold = outputs.similarity.sort().values[3].item()
    assert build("sum-l", threshold=threshold)(outputs)["kept_share"].value == 2 / 6


def test_switches_of_table_5_and_of_the_released_code(outputs):
    o = outputs
    plain = build("sum-l", weighted=False, w_m=0.0)(o)
    assert plain.keys() == {"l_f", "l_t", "l_a", "l_m", "kept_share"}
    assert plain["l_a"].value == contrastive.cross_view(
        o.z_f, o.z_t, o.d_f, o.d_t, 0.06, 0.1, 0.5, weighted=False
    )
    assert plain["l_m"].weight == 0
    both = build("sum-l", negatives="cross+intra")(o)
    assert both["l_m"].value > build("sum-l")(o)["l_m"].value
    intra = build("typical-cl", negatives="cross+intra")(o)["l_dc"].value
    ways = [(o.z_f, o.z_t), (o.z_t, o.z_f)]
    expected = sum(contrastive.decoupled(a, b, 0.06, negatives="cross+intra") for a, b in ways)
    assert intra == expected


def test_typical_cl_aligns_all_pairs_both_ways(outputs):
    terms = build("typical-cl", temperature=0.2, w_a=0.5)(outputs)
    ways = [(outputs.z_f, outputs.z_t), (outputs.z_t, outputs.z_f)]
    expected = sum(contrastive.decoupled(a, b, 0.2) for a, b in ways)
    assert terms["l_dc"] == (0.5, expected)
    assert terms.keys() == {"l_f", "l_t", "l_dc"}


def test_triplet_takes_another_clip_as_negative(outputs):
    order = [5, 0, 1, 2, 3, 4]
    for negative, others in (("fpv", outputs.z_f[order]), ("tpv", outputs.z_t[order])):
        terms = build("triplet", negative=negative)(outputs)
        assert terms["l_triplet"].value == triplet(outputs.z_f, outputs.z_t, others, 0.1)


def test_fpv_only_needs_nothing_else():
    method = build("fpv-only")
    assert not method.uses_tpv
    assert method(Outputs(torch.tensor(2.0))) == {"l_f": (1.0, 2.0)}


def test_every_impossible_value_is_told():
    with pytest.raises(ValueError, match="temperature") as caught:
        build("sum-l", temperature=0.0, sigma=float("nan"), threshold=2.0, negatives="x", w_m=-1.0)
    lines = str(caught.value).splitlines()
    assert [line.split(" = ")[0] for line in lines] == [
        "temperature",
        "sigma",
        "threshold",
        "negatives",
        "w_m",
    ]
