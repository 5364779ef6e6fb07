"""Order, windows, replacement and padding of training batches, on real files."""

from __future__ import annotations

import av
import numpy as np
import pytest

from sumlctl.learning.batches import (
    EpochBatches,
    Failure,
    Samples,
    Side,
    collate,
    loader,
)
from sumlctl.learning.clips import Clip
from sumlctl.learning.reading import ClipReader
from tests.unit.learning import small_world


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


def samples(clips, short_side=32, room=0, seed=0):
    rows = np.arange(len(clips))
    side = Side(clips, rows, {"noun": Numbered()})
    vectors = {"d_f": np.eye(len(clips), dtype=np.float32)}
    return Samples({"fpv": side}, vectors, ClipReader(short_side, room), 4, 1, seed)


def test_a_sample_is_the_clip_with_its_labels_and_vectors(clips):
    sample = samples(clips)[0, 3]
    assert sample["fpv"]["clips"].shape == (4, 32, 53, 3)
    colour = sample["fpv"]["clips"].mean(axis=(0, 1, 2))
    np.testing.assert_allclose(colour, small_world.COLOURS[3], atol=6)
    assert sample["fpv"]["targets"] == {"noun": 13}
    assert sample["vectors"]["d_f"].tolist() == [0, 0, 0, 1]
    assert sample["failed"] == []


def test_small_videos_are_not_enlarged(clips):
    assert samples(clips, short_side=100)[0, 0]["fpv"]["clips"].shape == (4, 48, 64, 3)


def test_an_undecodable_clip_is_replaced_by_the_next_and_named(clips):
    sample = samples(clips)[0, 2]
    assert sample["fpv"]["targets"] == {"noun": 13}
    ((clip_id, reason),) = sample["failed"]
    assert clip_id == "d/2"
    assert "v2.mp4" in reason


def test_nothing_decodes(clips):
    sample = samples(clips[2:3])[0, 0]
    assert sample.keys() == {"failed"}
    batch = collate([samples(clips)[0, 0], sample])
    assert [failure.clip_id for failure in batch.pop("failed")] == ["d/2"]
    assert not batch


class Asked:
    """A reader that notes the times it is asked for."""

    def __init__(self):
        self.times = []

    def window(self, clip, times_s):
        self.times.append(times_s.tolist())
        return np.zeros((1, 1, 1, 3), dtype=np.uint8)


def test_windows_depend_on_seed_epoch_and_index_alone(clips):
    long = [Clip("d/0", clips[0].path, 0.0, 100.0, 8.0)] * 2

    def times(seed, *keys):
        reader = Asked()
        side = Side(long, np.arange(2), {})
        drawn = Samples({"fpv": side}, {}, reader, 4, 1, seed)
        for key in keys:
            drawn[key]
        return reader.times

    first, second, other = times(0, (0, 0), (1, 0), (0, 1))
    assert times(0, (0, 1), (0, 0), (1, 0)) == [other, first, second]
    assert len({start for start, *_ in (first, second, other, *times(1, (0, 0)))}) == 4


def test_kept_clips_give_the_same_windows(clips):
    kept, fresh = (samples(clips, room=room) for room in (10**8, 0))
    for epoch in range(3):
        np.testing.assert_array_equal(
            kept[epoch, 1]["fpv"]["clips"], fresh[epoch, 1]["fpv"]["clips"]
        )
    pixels, _ = kept.reader._kept["d/1"]
    assert kept.reader.room == 10**8 - pixels.nbytes
    assert not fresh.reader._kept


def test_kept_clips_that_start_between_frames_lose_none(tmp_path):
    """Eight numbered frames at 10 fps: from 0.17 s to 0.65 s frames 1 to 5 are on screen."""
    path = tmp_path / "numbered.mp4"
    pictures = [np.full((48, 64, 3), 30 * i, np.uint8) for i in range(8)]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode())
    clip = Clip("d/0", path, 0.17, 0.65, 10.0)
    times_s = clip.window(6, 1, 1.0)
    for room in (10**8, 0):
        levels = ClipReader(48, room).window(clip, times_s)[:, 0, 0, 0]
        assert np.round(levels / 30).astype(int).tolist() == [1, 2, 3, 4, 5, 5]


def test_collate_pads_by_repeating_the_edge():
    small = np.arange(6, dtype=np.uint8).reshape(1, 1, 2, 3)
    large = np.zeros((1, 2, 3, 3), dtype=np.uint8)
    failure = Failure("d/9", "why")
    batch = collate(
        [
            {"fpv": {"clips": small, "targets": {"noun": 1}}, "failed": [failure]},
            {"fpv": {"clips": large, "targets": {"noun": 2}}, "failed": []},
        ]
    )
    assert batch["fpv"]["clips"].shape == (2, 1, 2, 3, 3)
    assert batch["fpv"]["sizes"].tolist() == [[1, 2], [2, 3]]
    assert batch["fpv"]["clips"][0, 0, 1].tolist() == [[0, 1, 2], [3, 4, 5], [3, 4, 5]]
    assert batch["fpv"]["targets"]["noun"].tolist() == [1, 2]
    assert batch["failed"] == [failure]


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


def test_worker_processes_give_the_same_batches(clips):
    drawn = samples([clips[0], clips[1], clips[3]])
    batches = EpochBatches(3, 3, seed=0)
    (here,), (there,) = (list(loader(drawn, batches, workers)) for workers in (0, 1))
    assert here["fpv"]["clips"].equal(there["fpv"]["clips"])
    assert here["vectors"]["d_f"].equal(there["vectors"]["d_f"])
