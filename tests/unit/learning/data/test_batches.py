"""Order, windows, replacement and padding of training batches, on real and on hostile files."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sumlctl.learning.data.batches import EpochBatches, Loader, Samples, SampleView, padded
from sumlctl.learning.data.clips import Clip
from sumlctl.learning.data.reader import Reader
from tests.unit.learning import hostile, small_world
from tests.unit.learning.hostile import decoder_stub  # noqa: F401, a fixture


@pytest.fixture
def clips(tmp_path):
    """Four clips, the third of a file that is no video."""
    paths = [tmp_path / f"v{i}.mp4" for i in range(4)]
    for i in (0, 1, 3):
        small_world.write_video(paths[i], small_world.COLOURS[i], 64 + 16 * (i % 2))
    paths[2].write_bytes(b"not a video")
    return [Clip(f"d/{i}", path, 0.0, 1.0, 8.0) for i, path in enumerate(paths)]


class Numbered:
    """Targets that are the clip's place plus ten."""

    def at(self, row, times_s):
        return np.int64(10 + row)


def samples(clips, short_side=32, seed=0):
    rows = np.arange(len(clips))
    side = SampleView(clips, rows, {"noun": Numbered()})
    vectors = {"d_f": np.eye(len(clips), dtype=np.float32)}
    return Samples({"fpv": side}, vectors, 4, 1, short_side, seed)


class InOrder:
    """Samples as they come, in batches."""

    def __init__(self, count, batch_size, epoch=0):
        self.count, self.batch_size, self.epoch = count, batch_size, epoch

    def __iter__(self):
        for first in range(0, self.count, self.batch_size):
            yield [(self.epoch, first + i) for i in range(self.batch_size)]


def batches(samples, batch_size, workers=0, order=None, **limits):
    with Reader(workers, **{"timeout_s": 60, "memory_mb": 512} | limits) as reader:
        return list(Loader(samples, order or InOrder(len(samples), batch_size), reader))


def test_a_sample_is_the_clip_with_its_labels_and_vectors(clips):
    *_, sample = batches(samples(clips), 1)
    assert sample["fpv"]["clips"].shape == (1, 4, 32, 53, 3)
    assert sample["fpv"]["sizes"].tolist() == [[32, 53]]
    colour = sample["fpv"]["clips"].numpy().mean(axis=(0, 1, 2, 3))
    np.testing.assert_allclose(colour, small_world.COLOURS[3], atol=6)
    assert sample["fpv"]["targets"]["noun"].tolist() == [13]
    assert sample["vectors"]["d_f"].tolist() == [[0, 0, 0, 1]]
    assert sample["failed"] == []


def test_small_videos_are_not_enlarged(clips):
    first, *_ = batches(samples(clips, short_side=100), 1)
    assert first["fpv"]["clips"].shape == (1, 4, 48, 64, 3)


def test_an_undecodable_clip_is_replaced_by_the_next_and_named(clips):
    (batch,) = batches(samples(clips), 4)
    assert batch["fpv"]["targets"]["noun"].tolist() == [10, 11, 13, 13]
    ((clip_id, reason, file),) = batch["failed"]
    assert (clip_id, file) == ("d/2", "")
    assert reason.startswith(str(clips[2].path))


def test_nothing_decodes(clips):
    (batch,) = batches(samples([clips[2]] * 3), 3)
    assert batch.keys() == {"failed"}
    assert [failure.clip_id for failure in batch["failed"]] == ["d/2"] * 9


def test_both_windows_of_a_pair_are_replaced_together(clips):
    first = SampleView(clips, np.array([0, 1, 3]), {"noun": Numbered()})
    second = SampleView(clips, np.array([3, 2, 0]), {"noun": Numbered()})
    pairs = Samples({"fpv": first, "tpv": second}, {}, 4, 1, 32, 0)
    (batch,) = batches(pairs, 3)
    assert batch["fpv"]["targets"]["noun"].tolist() == [10, 13, 13]
    assert batch["tpv"]["targets"]["noun"].tolist() == [13, 10, 10]
    assert [failure.clip_id for failure in batch["failed"]] == ["d/2"]


def test_windows_depend_on_seed_epoch_and_index_alone(clips):
    long = [Clip("d/0", clips[0].path, 0.0, 100.0, 8.0)] * 2

    def start(seed, epoch, index):
        return samples(long, seed=seed).windows(epoch, index)["fpv"].times_s[0]

    keys = [(0, 0, 0), (0, 1, 0), (0, 0, 1), (1, 0, 0)]
    assert len({start(*key) for key in keys}) == 4
    assert [start(*key) for key in keys] == [start(*key) for key in keys]


def test_padding_repeats_the_edge():
    small = np.arange(6, dtype=np.uint8).reshape(1, 1, 2, 3)
    large = np.zeros((1, 2, 3, 3), dtype=np.uint8)
    clips, sizes = padded([small, large])
    assert clips.shape == (2, 1, 2, 3, 3)
    assert sizes.tolist() == [[1, 2], [2, 3]]
    assert clips[0, 0, 1].tolist() == [[0, 1, 2], [3, 4, 5], [3, 4, 5]]
    assert clips[0, 0, 0].tolist() == [[0, 1, 2], [3, 4, 5], [3, 4, 5]]


def test_a_clip_that_is_replaced_leaves_no_trace(clips):
    """A larger window that is given up, because its pair's other half fails, pads nothing."""
    first = SampleView(clips, np.array([1, 0]), {})  # 80 and 64 pixels wide
    second = SampleView(clips, np.array([2, 0]), {})
    (batch,) = batches(Samples({"fpv": first, "tpv": second}, {}, 4, 1, 100, 0), 2)
    assert batch["fpv"]["clips"].shape == (2, 4, 48, 64, 3)


def test_epochs_are_permutations_shared_without_overlap():
    shares = [EpochBatches(11, 2, seed=5, rank=rank, world_size=2) for rank in range(2)]
    assert [len(share) for share in shares] == [2, 2]
    seen = [i for share in shares for batch in share for _, i in batch]
    assert len(seen) == len(set(seen)) == 8
    again, later = EpochBatches(11, 2, seed=5), EpochBatches(11, 2, seed=5)
    later.epoch = 1
    assert list(again) == list(EpochBatches(11, 2, seed=5))
    assert [i for b in again for _, i in b] != [i for b in later for _, i in b]
    assert {epoch for batch in later for epoch, _ in batch} == {1}


def test_a_set_smaller_than_a_batch_is_one_batch():
    ((*batch,),) = EpochBatches(3, 64, seed=0)
    assert sorted(batch) == [(0, 0), (0, 1), (0, 2)]


def test_an_epoch_can_begin_in_its_middle():
    whole, rest = EpochBatches(11, 2, seed=5), EpochBatches(11, 2, seed=5)
    rest.first = 3
    assert list(rest) == list(whole)[3:]
    assert len(rest) == 5


def test_batches_of_a_step_stay_together():
    assert len(EpochBatches(11, 2, seed=0, group=2)) == 4
    few = EpochBatches(11, 2, seed=0, group=9)
    assert (few.group, len(few)) == (5, 5)


def same(a, b):
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return np.array_equal(a, b) if isinstance(a, np.ndarray | torch.Tensor) else a == b


@pytest.mark.parametrize("cache_mb", [0, 64])
def test_any_number_of_workers_gives_the_same_batches(clips, cache_mb):
    drawn = samples([clip for clip in clips for _ in range(3)])
    here = batches(drawn, 4, cache_mb=cache_mb)
    assert len([failure for batch in here for failure in batch["failed"]]) == 6
    for workers in (1, 2, 3):
        assert same(batches(drawn, 4, workers, cache_mb=cache_mb), here)


@pytest.fixture
def hostile_clips(tmp_path):
    """Two clips of each of eight files: four sound, and one for each deed."""
    listed = []
    for i, deed in enumerate(("", "hang", "", "exit", "crash", "", "swell", "")):
        path = tmp_path / f"v{i}.mp4"
        small_world.write_video(path, small_world.COLOURS[i], 64 + 16 * (i % 2))
        if deed:
            hostile.corrupt(path, deed)
        listed += [Clip(f"d/{i}.{j}", path, 0.0, 1.0, 8.0) for j in range(2)]
    return listed


@pytest.mark.usefixtures("decoder_stub")
def test_hostile_files_cost_their_samples_alone_and_are_asked_once(hostile_clips):
    drawn = samples(hostile_clips)
    order = EpochBatches(16, 4, seed=3)
    limits = {"timeout_s": 1.0, "memory_mb": 256}
    one, three = (batches(drawn, 4, workers, order, **limits) for workers in (1, 3))
    assert same(one, three)
    failed = [failure for batch in one for failure in batch["failed"]]
    by_file = {}
    for clip_id, reason, file in failed:
        by_file.setdefault(clip_id.partition(".")[0], []).append((reason, file))
    assert by_file.keys() == {"d/1", "d/3", "d/4", "d/6"}
    for deed, number in zip(("hang", "exit", "crash", "swell"), (1, 3, 4, 6), strict=True):
        (reason, file), *later = by_file[f"d/{number}"]
        assert reason == hostile.REASONS[deed]
        assert file == str(hostile_clips[2 * number].path)
        assert set(later) <= {(f"in quarantine: {reason}", "")}
    assert [len(batch["fpv"]["clips"]) for batch in one] == [4] * 4


@pytest.mark.usefixtures("decoder_stub")
def test_a_file_that_the_other_decoder_reads_is_read(clips):
    hostile.corrupt(clips[1].path, "rescued")
    sound = [clips[0], clips[1], clips[3], clips[1]]
    (batch,) = batches(samples(sound), 4, 2, timeout_s=1.0)
    assert batch["failed"] == []
    colours = batch["fpv"]["clips"].numpy().mean(axis=(1, 2, 3))
    for row, place in enumerate((0, 1, 3, 1)):
        np.testing.assert_allclose(colours[row], small_world.COLOURS[place], atol=6)
