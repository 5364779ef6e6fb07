"""A dataset of numbered videos with clips that overlap, as `index` leaves it."""

from __future__ import annotations

from pathlib import Path

from sumlctl.video.probe import probe
from sumlctl.workspace import Workspace
from tests.builders import write_clips
from tests.unit.learning import small_world
from tests.unit.video import numbered

# Video -> its clips, seconds. Frame n of a video is on screen from n / 10 seconds.
CLIPS = {
    "v0": [(0.5, 1.5), (1.0, 2.0)],
    "v1": [(0.0, 1.0), (3.0, 4.0)],
    "v 2": [(1.0, 3.9)],
    "v3/a": [(2.0, 3.0)],
}


def build(workspace: Workspace) -> Path:
    """Videos and both tables of `kitchen`; returns the videos folder."""
    root = workspace.data("kitchen", "videos")
    for name in CLIPS:
        path = root / f"{name}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        numbered.write(path, paint=numbered.noisy)
    every = [(name, *clip) for name, clips in CLIPS.items() for clip in clips]
    names, starts, stops = zip(*every, strict=True)
    write_clips(
        workspace,
        "kitchen",
        [f"clip {i}" for i in range(len(every))],
        video_id=names,
        start_s=starts,
        stop_s=stops,
        status=["ok"] * len(every),
    )
    index(workspace)
    return root


def index(
    workspace: Workspace, mirrored: tuple[str, ...] = (), several: tuple[str, ...] = ()
) -> None:
    """Writes the videos table anew, with some videos as if their pictures were stored mirrored.

    Others are as if they were the second stream of several.
    """
    root = workspace.data("kitchen", "videos")
    found = [probe(root / f"{name}.mp4", ask_decord=False) for name in CLIPS]
    small_world.write_videos_table(
        workspace,
        "kitchen",
        root,
        len(CLIPS),
        video_id=list(CLIPS),
        path=[f"{name}.mp4" for name in CLIPS],
        **{
            key: [getattr(one, key) for one in found]
            for key in ("status", "fps", "duration_s", "size_bytes", "mtime_ns")
        },
        mirrored=[name in mirrored for name in CLIPS],
        stream=[1 if name in several else None for name in CLIPS],
    )
