"""Cards, annotation files and videos for tests, built by hand."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np

from sumlctl.config import dataset as cards
from sumlctl.workspace import Workspace

# A card for tables such as `kitchen_row` makes the rows of.
KITCHEN = """
[reader]
name = "tabular"
files = { train = "train.csv", val = "val.csv" }
[reader.columns]
clip_id = "id"
video_id = "video"
start_s = "from"
stop_s = "to"
narration = "said"
verbs = "verb"
[videos]
paths = ["{video_id}.mp4"]
[vocabulary]
verbs = { names = ["take", "put"] }
[expected]
train = { fpv = 7, videos = 2 }
test = { fpv = 5 }
"""


def write_card(
    workspace: Workspace, name: str, body: str, viewpoints: Sequence[str] = ("fpv",)
) -> cards.DatasetConfig:
    """Writes a card into the workspace; `body` begins with the table `[reader]`."""
    workspace.manifests.mkdir(parents=True, exist_ok=True)
    path = workspace.manifests / f"{name}.toml"
    path.write_text(
        f'title = "Test kitchen"\nhomepage = "https://example.org"\nlicence = "CC0"\n'
        f'citation = "none"\nviewpoints = {json.dumps(list(viewpoints))}\n\n{body}\n'
    )
    return cards.parse(path)


def write_csv(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    """Writes rows under the names of the first one's keys."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), quoting=csv.QUOTE_ALL)
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_jsonl(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    """Writes one JSON object per line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def write_lines(path: Path, *lines: str) -> Path:
    """Writes a text file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path


def write_video(path: Path, n_frames: int, fps: int = 10) -> Path:
    """Writes a small MP4 of `n_frames` grey pictures."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=fps)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(n_frames):
            grey = np.full((48, 64, 3), number % 256, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def epic_row(uid: object = 0, **changes: Any) -> dict[str, Any]:
    """A row of EPIC-KITCHENS-55's training file: the first published one, but for `changes`."""
    return {
        "uid": uid,
        "participant_id": "P01",
        "video_id": "P01_01",
        "narration": "open door",
        "start_timestamp": "00:00:00.14",
        "stop_timestamp": "00:00:03.37",
        "start_frame": 8,
        "stop_frame": 202,
        "verb": "open",
        "verb_class": 2,
        "noun": "door",
        "noun_class": 8,
        "all_nouns": "['door']",
        "all_noun_classes": "[8]",
    } | changes


def kitchen_row(
    clip: str, video: str, start: str, stop: str, said: str = "Take Cup", verb: str = "take"
) -> dict[str, str]:
    """A row of an annotation file that the card `KITCHEN` maps."""
    return {"id": clip, "video": video, "from": start, "to": stop, "said": said, "verb": verb}
