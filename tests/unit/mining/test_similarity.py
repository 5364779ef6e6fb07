"""Fig. 2 from pairs with similarities chosen by hand."""

from __future__ import annotations

import math

import pytest

from sumlctl.errors import SumlError
from sumlctl.mining.mine import MiningSettings, mine
from sumlctl.mining.similarity import distribution, range_names, tables_of
from sumlctl.workspace import Workspace
from tests.builders import write_clips, write_vectors

# Similarity of each first-person clip with the only third-person narration, and its class.
CLIPS = [(0.95, 0, 0), (0.85, 0, 0), (0.5, 0, 1), (0.3, 1, 1), (0.1, 1, 1), (-0.4, 1, 0)]


@pytest.fixture
def mined(workspace: Workspace) -> Workspace:
    texts = [f"clip {i}" for i in range(len(CLIPS))]
    verbs, nouns = [[v] for _, v, _ in CLIPS], [[n] for _, _, n in CLIPS]
    write_clips(workspace, "ego", texts, verbs=verbs, nouns=nouns)
    cosines = {t: (s, math.sqrt(1 - s * s)) for t, (s, _, _) in zip(texts, CLIPS, strict=True)}
    write_vectors(workspace, "ego", cosines)
    write_clips(workspace, "exo", ["pole"], viewpoint=["tpv"])
    write_vectors(workspace, "exo", {"pole": (1.0, 0.0)})
    mine("ego", ["exo"], workspace, MiningSettings())
    return workspace


def shares(workspace: Workspace, **options) -> list[float]:
    return distribution(workspace.all_pairs()[0], workspace, **options).shares


def test_classes_by_mean(mined: Workspace) -> None:
    # (0,0): .90, (0,1): .50, (1,1): .20, (1,0): -.40
    assert shares(mined) == pytest.approx([0.25, 0.25, 0.25, 0, 0.25])


def test_classes_by_max(mined: Workspace) -> None:
    # (0,0): .95, (0,1): .50, (1,1): .30, (1,0): -.40
    assert shares(mined, class_stat="max") == pytest.approx([0.25, 0.25, 0.25, 0, 0.25])
    edges = (0, 0.25, 1)
    assert shares(mined, class_stat="max", edges=edges) == pytest.approx([0.25, 0.75])
    assert shares(mined, class_stat="mean", edges=edges) == pytest.approx([0.5, 0.5])


def test_clips(mined: Workspace) -> None:
    assert shares(mined, by="clip") == pytest.approx([2 / 6, 1 / 6, 1 / 6, 0, 2 / 6])


def test_coverage(mined: Workspace) -> None:
    found = distribution(mined.all_pairs()[0], mined)
    coverage = dict(found.coverage)
    assert coverage[0.0] == pytest.approx(5 / 6)
    assert coverage[0.4] == pytest.approx(3 / 6)
    assert coverage[0.9] == pytest.approx(1 / 6)
    assert coverage[1.0] == 0
    assert (found.n, found.without) == (4, 0)


def test_identical_narrations_fall_into_the_closed_last_range(workspace: Workspace) -> None:
    write_clips(workspace, "ego", ["same"], verbs=[[0]], nouns=[[0]])
    write_vectors(workspace, "ego", {"same": (1.0, 2.0, 3.0)})
    write_clips(workspace, "exo", ["same"], viewpoint=["tpv"])
    write_vectors(workspace, "exo", {"same": (1.0, 2.0, 3.0)})
    mine("ego", ["exo"], workspace, MiningSettings())
    assert shares(workspace) == [0, 0, 0, 0, 1]


def test_a_cut_table_says_how_many_clips_are_without_a_pair(mined: Workspace) -> None:
    mine("ego", ["exo"], mined, MiningSettings(min_similarity=0.4))
    assert distribution(mined.all_pairs()[0], mined).without == 3


def test_charades_classes_are_its_actions(workspace: Workspace) -> None:
    vocabulary = {"verbs": [["a"]], "nouns": [["b"]], "actions": [["x"], ["y"]]}
    write_clips(
        workspace,
        "ego",
        ["one", "two"],
        verbs=[[0], [0]],
        nouns=[[0], [0]],
        actions=[[0], [1]],
        vocabulary=vocabulary,
    )
    write_vectors(workspace, "ego", {"one": (1, 0), "two": (0, 1)})
    write_clips(workspace, "exo", ["pole"], viewpoint=["tpv"])
    write_vectors(workspace, "exo", {"pole": (1, 0)})
    mine("ego", ["exo"], workspace, MiningSettings())
    assert distribution(workspace.all_pairs()[0], workspace).n == 2


def test_pairs_of_clips_indexed_anew_are_refused(mined: Workspace) -> None:
    write_clips(mined, "ego", ["other"], clip_id=["ego/other"])
    with pytest.raises(SumlError, match="pairs do not fit the clips table, got 0 of 6"):
        distribution(mined.all_pairs()[0], mined)


def test_range_names() -> None:
    assert range_names((0, 0.5, 1)) == ["< 0.5", "[0.5, 1]"]


def test_choosing_tables(mined: Workspace) -> None:
    assert [p.name for p in tables_of(mined, [], [])] == ["ego--exo.parquet"]
    with pytest.raises(SumlError, match="expected ego--exo"):
        tables_of(mined, ["ek55"], [])


def test_clips_without_labels_are_no_class(workspace: Workspace) -> None:
    write_clips(workspace, "ego", ["one", "two"], verbs=[[0], []], nouns=[[0], []])
    write_vectors(workspace, "ego", {"one": (1, 0), "two": (0, 1)})
    write_clips(workspace, "exo", ["pole"], viewpoint=["tpv"])
    write_vectors(workspace, "exo", {"pole": (1, 0)})
    mine("ego", ["exo"], workspace, MiningSettings())
    assert distribution(workspace.all_pairs()[0], workspace).n == 1
    write_clips(workspace, "ego", ["one", "two"])
    with pytest.raises(SumlError, match="no clip has an action class"):
        distribution(workspace.all_pairs()[0], workspace)
    assert shares(workspace, by="clip") == [0.5, 0, 0, 0, 0.5]
