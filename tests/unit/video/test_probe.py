"""Probing against files whose frames are known, and the table of what peers decode."""

from __future__ import annotations

import csv
import os
from dataclasses import asdict

import av
import pytest

from sumlctl.jobs.executors import Local
from sumlctl.jobs.units import Work
from sumlctl.video import probe_many as probe_module
from sumlctl.video.probe import Probe, probe
from sumlctl.video.probe_many import probe_many

PROPERTIES = {"codec": "h264", "width": 128, "height": 32, "rotation": 0, "error": None}


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("plain.mp4", {"b_frames": 0}),
        ("b_frames.mp4", {}),
        ("b_frames.mkv", {}),
        ("open_gop.mp4", {"options": {"x264-params": "open-gop=1:scenecut=0"}}),
        ("h264.avi", {}),
        ("late.mkv", {"shift": -30}),
    ],
)
def test_a_sound_file_is_described(make_video, name, how):
    video = make_video(name, 40, **how)
    found = probe(video)
    assert found.status == "ok"
    assert {key: getattr(found, key) for key in PROPERTIES} == PROPERTIES
    assert found.n_frames == 40
    assert found.fps == pytest.approx(10, rel=1e-3)
    assert found.duration_s == pytest.approx(4, abs=2e-3)
    assert found.size_bytes == video.stat().st_size
    assert found.mtime_ns == video.stat().st_mtime_ns


def test_a_variable_rate_is_averaged_over_the_timestamps(make_video):
    stamps = [0, 40, 80, 300, 333, 900, 901, 1500, 1533, 2000]
    found = probe(make_video("variable.mp4", 10, ticks=1000, stamps=stamps))
    assert (found.status, found.n_frames) == ("ok", 10)
    assert found.fps == pytest.approx(9 / 2.0)
    assert found.duration_s >= 2.0


def test_one_frame_has_the_rate_that_the_file_declares(make_video):
    found = probe(make_video("one.mp4", 1))
    assert (found.n_frames, found.fps) == (1, 10)
    assert found.duration_s == pytest.approx(0.1)


def test_what_an_edit_list_hides_is_not_counted(make_video):
    found = probe(make_video("edited.mp4", shift=5, gop=1000), ask_decord=False)
    assert (found.n_frames, found.error) == (35, None)
    assert found.duration_s == pytest.approx(3.5)


def test_decord_is_quoted_where_it_disagrees(make_video):
    pytest.importorskip("decord")
    found = probe(make_video("edited.mp4", shift=5, gop=1000))
    assert (found.status, found.n_frames) == ("ok", 35)
    assert found.error == "decord counts 40 frames"


def test_a_file_cut_short_has_the_frames_before_the_cut(make_video, moov_first):
    video = make_video("cut.mp4", options={"qp": "0"}, gop=5)
    moov_first(video)
    whole = video.read_bytes()
    video.write_bytes(whole[: len(whole) // 2])
    found = probe(video)
    assert found.status == "ok"
    assert 0 < found.n_frames < 40
    assert found.duration_s == pytest.approx(found.n_frames / 10)
    assert f"header says 40 frames, {found.n_frames} decode; InvalidDataError" in found.error


def test_a_file_cut_before_its_index_is_unreadable(make_video):
    video = make_video("cut.mp4")
    whole = video.read_bytes()
    video.write_bytes(whole[: len(whole) // 2])
    found = probe(video)
    assert found.status == "unreadable"
    assert found.error == (
        "cannot be opened: InvalidDataError: Invalid data found when processing input"
    )
    assert found.n_frames is None


def test_damage_within_the_last_group_of_frames_is_found(make_video):
    video = make_video("damaged.mkv", options={"qp": "0"}, gop=1000, b_frames=0)
    content = bytearray(video.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 400] = bytes(400)
    video.write_bytes(content)
    found = probe(video, ask_decord=False)
    assert found.status == "ok"
    assert found.n_frames < 40
    assert "frames" in found.error


def test_decoding_the_whole_finds_damage_in_the_middle(make_video):
    video = make_video("damaged.mp4", options={"qp": "0"}, gop=5, b_frames=0)
    with av.open(str(video)) as container:
        [packet] = [p for p in container.demux(video=0) if p.pts == 22 * p.duration]
    content = bytearray(video.read_bytes())
    content[packet.pos + 8 : packet.pos + packet.size] = bytes(packet.size - 8)
    video.write_bytes(content)
    assert probe(video, ask_decord=False).n_frames == 40
    found = probe(video, ask_decord=False, whole=True)
    assert (found.status, found.n_frames) == ("ok", 22)
    assert found.duration_s == pytest.approx(2.2)
    assert found.error.startswith("header says 40 frames, 22 decode; ")


def test_decord_is_asked_about_what_pyav_refuses_when_all_is_looked_at(make_video, tmp_path):
    pytest.importorskip("decord")
    text = tmp_path / "text.mp4"
    text.write_text("not a video\n" * 50)
    assert "decord" not in probe(text).error
    assert "; decord refuses: " in probe(text, whole=True).error
    assert probe(make_video("sound.mp4"), whole=True).error is None


def test_empty_missing_and_foreign_files_are_unreadable_with_the_reason(tmp_path):
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("not a video\n" * 50)
    (tmp_path / "folder.mp4").mkdir()
    reasons = {path.name: probe(path).error for path in tmp_path.iterdir()}
    assert reasons["empty.mp4"] == "empty file"
    assert reasons["text.mp4"].startswith("cannot be opened: InvalidDataError")
    assert "folder.mp4" in reasons and "\n" not in "".join(reasons.values())
    missing = probe(tmp_path / "none.mp4")
    assert missing == Probe("unreadable", "FileNotFoundError: No such file or directory")


def test_a_wrong_extension_does_not_matter(make_video):
    video = make_video("video.mkv")
    renamed = video.rename(video.with_suffix(".mp4"))
    found = probe(renamed)
    assert (found.status, found.container, found.n_frames) == ("ok", "matroska,webm", 40)


def hang_with_decord(wanted):
    """Stands in for the look at one file where decord's native code hangs or crashes."""
    if wanted.ask_decord:
        if "crash" in wanted.path.name:
            os.abort()
        while True:
            pass
    return asdict(Probe("ok", n_frames=40))


def test_many_files_are_probed_and_decords_hangs_and_crashes_survived(tmp_path, monkeypatch):
    paths = [tmp_path / name for name in ("crash.mp4", "hang.mp4")]
    for path in paths:
        path.touch()
    monkeypatch.setattr(probe_module, "answer_probe", hang_with_decord)
    work = Work(tmp_path / "units")
    found = dict(probe_many(dict.fromkeys(paths), work, Local(2), deadline_s=1))
    assert found == {
        paths[0]: Probe(
            "ok", "with decord: worker died, signal 6 (Aborted)", n_frames=40, decord="doubted"
        ),
        paths[1]: Probe(
            "ok",
            "with decord: no answer within 1 s of processor time",
            n_frames=40,
            decord="doubted",
        ),
    }


# Files whose table row counts another stream (the first, not the largest), and its frames.
LARGEST_STREAM = {"torchcodec_nasa_13013.mp4": 390}


def test_real_files_have_the_frames_that_peers_decode(shared_data, tmp_path):
    with (shared_data / "videos.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    paths = {shared_data / "videos" / row["folder"] / row["file"]: row for row in rows}
    found = dict(probe_many(dict.fromkeys(paths), Work(tmp_path), Local(2)))
    assert found.keys() == paths.keys()
    for path, row in paths.items():
        result, name = found[path], row["file"]
        decodable = LARGEST_STREAM.get(name, int(row["pyav_frames"] or 0))
        assert (result.n_frames or 0) == decodable, name
        assert result.status == ("ok" if decodable else "unreadable"), name
        if decodable and name not in LARGEST_STREAM:
            across, down = int(row["width"]), int(row["height"])
            rotation = (int(row["rotation"]) + 179) % 360 - 179  # half a turn is 180, not -180
            size = (down, across) if rotation % 180 else (across, down)
            found_there = result.width, result.height, result.rotation, result.mirrored
            assert found_there == (*size, rotation, False), name
            assert (result.codec, result.container) == (row["codec"], row["container"]), name
    errors = {path.name: result.error for path, result in found.items() if result.error}
    assert errors["mp4parser_audio_only.mp4"] == "no video stream"
    assert errors["testmedia_short-cenc_encrypted.mp4"] == "no frame decodes: encrypted"
    assert errors["decord_corrupted.mp4"].startswith("header says 50 frames, 28 decode; Invalid")
