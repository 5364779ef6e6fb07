"""What a protocol may need beside the predictions: the clips of the split, lists of classes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from sumlctl import tables
from sumlctl.errors import SumlError, nearest_names
from sumlctl.workspace import Workspace


@dataclass(frozen=True)
class Context:
    """What predictions are scored against.

    Args:
        clips: rows of the clips table, those of the split that is scored. None: nobody checks
            whether clips are missing, and every clip counts as a video of its own.
        annotations: the dataset's folder of annotation files, for the lists that EPIC-KITCHENS
            publishes with it (tail and many-shot classes, unseen participants). They are read
            where they lie, since their licence does not allow to ship them.
        allow_missing: clips of the split without prediction are counted and left out; without it
            they are an error.
        source: what errors call the predictions, such as their path.
    """

    clips: pl.DataFrame | None = None
    annotations: Path | None = None
    allow_missing: bool = False
    source: object = "predictions"

    @classmethod
    def load(
        cls,
        workspace: Workspace,
        dataset: str,
        split: str,
        *,
        viewpoint: str = "fpv",
        annotations: Path | None = None,
        allow_missing: bool = False,
        source: object = "predictions",
    ) -> Context:
        """The clips of one split, with video or without, and the dataset's annotation folder.

        Raises:
            SumlError: no clips table, or no clip of that viewpoint and split in it.
        """
        path = workspace.table(dataset, "clips")
        every = pl.DataFrame(tables.read(path, "clips")).filter(pl.col("viewpoint") == viewpoint)
        clips = every.filter(pl.col("split") == split)
        if clips.is_empty():
            raise SumlError(
                path,
                f"no {viewpoint} clips of split {split}",
                got=f"splits {', '.join(every['split'].unique().sort()) or 'none'}",
                expected=split,
                fix="Choose another split.",
            )
        remembered = workspace.remembered(dataset) or {}
        usual = remembered.get("annotations", workspace.data(dataset, "annotations"))
        folder = annotations or usual
        return cls(clips, folder, allow_missing, source)

    def required_clips(self, who: str) -> pl.DataFrame:
        """The clips, for what cannot do without.

        Raises:
            SumlError: there are none.
        """
        if self.clips is None:
            raise SumlError(
                self.source,
                f"{who} needs the clips table",
                got="predictions alone",
                expected="videos and participants of the clips",
                fix="Make the table with `sumlctl index`.",
            )
        return self.clips

    def listed(self, protocol: str, name: str, column: str) -> list[str]:
        """One column of an annotation file.

        Args:
            protocol: who asks, for the error.
            name: the file's name.
            column: the column's name.

        Raises:
            SumlError: the file or the column is missing, or it is no CSV file.
        """
        path = Path(self.annotations or "annotations") / name
        if not path.is_file():
            raise SumlError(
                path,
                f"a list of protocol {protocol} is missing",
                got="no file",
                expected=name,
                fix="Get it where the dataset's annotations come from, and put it beside them.",
            )
        try:
            frame = pl.read_csv(path, infer_schema=False, encoding="utf8")
        except (pl.exceptions.PolarsError, OSError, UnicodeDecodeError) as error:
            raise self._malformed(path, str(error).splitlines()[0][:120], "CSV") from error
        if column not in frame.columns:
            near = nearest_names(column, frame.columns) or frame.columns
            raise self._malformed(path, f"columns {', '.join(near)}", f"a column {column}")
        return frame[column].drop_nulls().to_list()

    def listed_ids(self, protocol: str, name: str, column: str) -> list[int]:
        """One column of class ids of an annotation file.

        Raises:
            SumlError: as `listed`, or a cell is no whole number.
        """
        cells = self.listed(protocol, name, column)
        wrong = [cell for cell in cells if not cell.strip().isdecimal()]
        if wrong:
            path = Path(self.annotations or "annotations") / name
            raise self._malformed(path, repr(wrong[0]), f"class ids in column {column}")
        return [int(cell) for cell in cells]

    def _malformed(self, path: Path, got: str, expected: str) -> SumlError:
        return SumlError(
            path, "not a list of classes", got=got, expected=expected, fix="Get the file again."
        )
