"""What the two cameras show, measured in their pictures."""

import os
import subprocess
import sys

import av
import numpy as np
import pytest

from sumlctl.datasets.motion import motion
from sumlctl.datasets.render import PLAIN, Footage, Variety, write_mp4
from sumlctl.datasets.world import Action, Segment, Video

SIZE, FPS = (96, 72), 12


def film(viewpoint, verb="take", noun="tomato", video_id="X01_1", variety=PLAIN):
    segment = Segment(Action(verb, noun), 0.5, 2.5, "")
    video = Video(video_id, "X01", "train", (segment,), 3.0)
    return np.stack(list(Footage(video, viewpoint, SIZE, FPS, 0, variety).frames()))


def red(frames):
    """Where a picture is tomato red, [T, H, W]."""
    r, g, b = (frames[..., i].astype(int) for i in range(3))
    return (r > 140) & (g < 70) & (b < 70)


def height_of(mask):
    """Mean row of each picture's marked pixels."""
    rows = np.arange(mask.shape[1])
    return (mask.sum(2) * rows).sum(1) / np.maximum(mask.sum((1, 2)), 1)


def test_same_video_same_pictures():
    assert np.array_equal(film("fpv"), film("fpv"))
    assert not np.array_equal(film("fpv"), film("fpv", video_id="X01_2"))


@pytest.mark.parametrize("viewpoint", ["fpv", "tpv"])
def test_pictures_cover_the_video(viewpoint):
    frames = film(viewpoint)
    assert frames.shape == (36, 72, 96, 3)
    assert frames.dtype == np.uint8
    assert frames.std(axis=(1, 2, 3)).min() > 15


@pytest.mark.parametrize("viewpoint", ["fpv", "tpv"])
def test_the_object_is_there_during_the_action_only(viewpoint):
    pixels = red(film(viewpoint)).sum((1, 2))
    assert pixels[7:29].min() > 20
    assert pixels[:5].max() == pixels[31:].max() == 0


def test_objects_are_larger_in_first_person():
    fpv, tpv = (red(film(viewpoint))[7:29].sum() for viewpoint in ("fpv", "tpv"))
    assert fpv > 2 * tpv


def test_a_closer_camera_shows_the_same_scene_larger():
    far, near = (red(film("tpv", variety=Variety(zoom=zoom))) for zoom in (1.0, 2.0))
    assert near.shape == far.shape
    assert near[7:29].sum() / far[7:29].sum() == pytest.approx(4, rel=0.25)  # an area
    columns = np.arange(SIZE[0])
    middles = [(mask[7:29].sum((0, 1)) * columns).sum() / mask[7:29].sum() for mask in (far, near)]
    off_centre = [middle - SIZE[0] / 2 for middle in middles]
    assert off_centre[1] == pytest.approx(2 * off_centre[0], abs=1.5)


def test_a_full_tint_hides_a_thing_s_own_colour():
    tinted = [film("fpv", video_id=f"X01_{i}", variety=Variety(tint=1.0)) for i in range(6)]
    own = [red(frames)[7:29].sum() for frames in tinted]
    assert min(own) < 0.1 * red(film("fpv"))[7:29].sum()


def test_bystanders_are_there_all_the_time_and_leave_the_hands_alone():
    alone, among = film("fpv").astype(int), film("fpv", variety=Variety(bystanders=4)).astype(int)
    differs = (np.abs(alone - among).max(axis=-1) > 30).mean(axis=(1, 2))
    assert differs.min() > 0.01
    thing = red(alone)[7:29]
    assert (red(among)[7:29] & thing).sum() > 0.9 * thing.sum()


@pytest.mark.parametrize("viewpoint", ["fpv", "tpv"])
@pytest.mark.parametrize(("verb", "sign"), [("take", -1), ("put", 1)])
def test_taking_lifts_and_putting_lowers(viewpoint, verb, sign):
    rows = height_of(red(film(viewpoint, verb)))
    assert sign * (rows[28] - rows[7]) > 5


def test_squeezing_narrows_and_widens_again():
    columns = red(film("fpv", "squeeze")).any(1).sum(1)[7:29]
    assert columns.min() < 0.7 * columns.max()


def test_only_the_first_person_camera_moves_with_the_hands():
    """A strip at the picture's side holds background alone; noise is all that changes there."""

    def change(viewpoint):
        side = film(viewpoint)[:, 5:40, :8].astype(float)
        return np.abs(side[28] - side[7]).mean()

    assert change("tpv") < 6
    assert change("fpv") > 1.5 * change("tpv")


@pytest.mark.parametrize(("there", "back"), [("take", "put"), ("open", "close")])
def test_opposite_verbs_are_each_other_backwards(there, back):
    for done in np.linspace(0, 1, 9):
        forth, reverse = motion(there, done, 2.0), motion(back, 1 - done, 2.0)
        assert np.allclose((forth.y, forth.gap), (reverse.y, reverse.gap))


def test_repeated_movements_come_round_as_often_as_told():
    done = np.linspace(0, 1, 1001)
    x = np.array([motion("shake", d, 3.0).x for d in done])
    upward_crossings = ((x[:-1] < 0) & (x[1:] >= 0)).sum()
    assert upward_crossings in (2, 3)


def test_mp4_plays_back_what_was_written(tmp_path):
    frames = film("fpv")
    write_mp4(tmp_path / "a" / "x.mp4", frames, SIZE, FPS)
    with av.open(str(tmp_path / "a" / "x.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")
        assert stream.average_rate == FPS
        decoded = [(f.time, f.to_ndarray(format="rgb24")) for f in container.decode(stream)]
    assert [round(time * FPS) for time, _ in decoded] == list(range(36))
    error = np.abs(np.stack([picture for _, picture in decoded]).astype(int) - frames).mean()
    assert error < 12
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["x.mp4"]


def test_interrupted_writing_leaves_nothing(tmp_path):
    def stops():
        yield film("fpv")[0]
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_mp4(tmp_path / "x.mp4", stops(), SIZE, FPS)
    assert list(tmp_path.iterdir()) == []


_WRITE = """
import sys
from pathlib import Path
from sumlctl.datasets.render import PLAIN, Footage, write_mp4
from sumlctl.datasets.world import Action, Segment, Video

segment = Segment(Action("take", "tomato"), 0.5, 2.5, "")
footage = Footage(Video("x", "X01", "train", (segment,), 3.0), "fpv", (96, 72), 12, 0, PLAIN)
write_mp4(Path(sys.argv[1]), footage.frames(), (96, 72), 12)
"""


def test_write_mp4_in_processes_whose_memory_differs(tmp_path):
    """glibc fills what is allocated with the complement of MALLOC_PERTURB_'s low byte."""
    contents = set()
    for perturb in ("0", "1", "170", "255"):
        path = tmp_path / f"{perturb}.mp4"
        environment = os.environ | {"MALLOC_PERTURB_": perturb}
        subprocess.run([sys.executable, "-c", _WRITE, str(path)], env=environment, check=True)
        contents.add(path.read_bytes())
    [content] = contents
    # x264 writes its settings into the file; this one reads what it has not written.
    assert b" mbtree=0 " in content
