"""Activation maps of a few clips for the page: strips that `sumlctl cam` drew, or new ones."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

from sumlctl import tables
from sumlctl.errors import SumlError
from sumlctl.report import heatmaps
from sumlctl.report.content.subject import Subject
from sumlctl.report.previews import data_uri

_QUALITY = 70


@dataclass(frozen=True)
class Strip:
    """A picture of one clip's maps.

    Args:
        name: of its file, which names the clip.
        source: WebP as a data URI.
        width: in pixels.
        height: in pixels.
    """

    name: str
    source: str
    width: int
    height: int


def strips(subject: Subject, count: int) -> list[Strip]:
    """Up to `count` strips from the run's figures; if there are none yet, draws them there.

    Strips of other weights than the run has show another training and are drawn anew.

    Raises:
        SumlError: no checkpoint, or no clip that can be decoded.
    """
    assert subject.run is not None
    if not count:
        return []
    folder = subject.run / "figures" / "cam"
    weights = subject.workspace.checkpoint(subject.run.name)
    shown = tables.digest(weights)
    there = [path for path in sorted(folder.glob("*.png")) if heatmaps.weights_of(path) == shown]
    return [_strip(path) for path in there[:count] or _draw(subject, folder, count)]


def _draw(subject: Subject, folder: Path, count: int) -> list[Path]:
    from sumlctl.evaluation.cam.examples import cam

    assert subject.run is not None
    drawn = []
    for example in cam(subject.workspace, subject.run.name, count=count):
        path = folder / f"{heatmaps.file_stem(example.clip_id)}.png"
        heatmaps.strip(example, path)
        drawn.append(path)
    return drawn


def _strip(path: Path) -> Strip:
    from PIL import Image

    try:
        with Image.open(path) as picture:
            written = io.BytesIO()
            picture.convert("RGB").save(written, "WEBP", quality=_QUALITY, method=6)
            width, height = picture.size
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise SumlError(
            path,
            "not a picture",
            got=str(error).splitlines()[0],
            expected="a strip that `sumlctl cam` drew",
            fix="Delete it.",
        ) from error
    return Strip(path.stem, data_uri("image/webp", written.getvalue()), width, height)
