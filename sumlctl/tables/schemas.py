"""The Arrow schema of every manifest, and the command that makes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

# Which command makes a table, for the error that says it is not there.
MAKERS = {
    "videos": "sumlctl index",
    "clips": "sumlctl index",
    "segments": "sumlctl decode",
    "narrations": "sumlctl embed",
    "pairs": "sumlctl mine-pairs",
    "predictions": "sumlctl eval",
    "metrics": "sumlctl eval",
    "results": "sumlctl run",
}

# What every row of metrics says.
_MEASURE = {
    "protocol": "string",
    "task": "string",
    "subset": "string",
    "metric": "string",
    "k": "int16",
    "value": "double",
}
_COLUMNS: dict[str, dict[str, str]] = {
    "videos": {
        "dataset": "string",
        "video_id": "string",
        "path": "string",
        "status": "string",
        "error": "string",
        "container": "string",
        "codec": "string",
        "width": "int32",
        "height": "int32",
        "rotation": "int16",
        "fps": "double",
        "n_frames": "int64",
        "duration_s": "double",
        "size_bytes": "int64",
        "mtime_ns": "int64",
        # Of the first picture; time zero is the file's own start (FFmpeg's `start_time`).
        "start_s": "double",
        "mirrored": "bool",  # left-right, before the rotation
        "decoder": "string",  # pyav, decord or jpeg
        "decord": "string",  # trusted, doubted or absent
        "stream": "int16",  # the film's number in a file of several video streams
    },
    "clips": {
        "clip_id": "string",
        "dataset": "string",
        "viewpoint": "string",
        "split": "string",
        "video_id": "string",
        "participant": "string",
        "start_s": "double",
        "stop_s": "double",
        "narration": "string",
        "verbs": "list<int32>",
        "nouns": "list<int32>",
        "actions": "list<int32>",
        "status": "string",
    },
    # A file of the store. `start_s` to `stop_s` is what can be asked of it; its frames have
    # timestamps from `first_tick` to `last_tick`, counted from the video's first frame in ticks of
    # `tick_num` / `tick_den` seconds. `video_size_bytes` and `video_mtime_ns` are of the video that
    # it was made from.
    "segments": {
        "video_id": "string",
        "file": "string",
        "start_s": "double",
        "stop_s": "double",
        "first_tick": "int64",
        "last_tick": "int64",
        "tick_num": "int64",
        "tick_den": "int64",
        "n_frames": "int64",
        "width": "int32",
        "height": "int32",
        "size_bytes": "int64",
        "psnr_db": "double",
        "settings": "string",
        "video_size_bytes": "int64",
        "video_mtime_ns": "int64",
    },
    "narrations": {"text": "string", "vector": "vector"},
    "pairs": {
        "fpv_clip_id": "string",
        "tpv_clip_id": "string",
        "rank": "int16",
        "similarity": "float",
        "fpv_narration": "string",
        "tpv_narration": "string",
        "tpv_dataset": "string",
        "shared_verb": "bool",
        "shared_noun": "bool",
    },
    "predictions": {
        "clip_id": "string",
        "task": "string",
        "scores": "list<float>",
        "target": "list<int32>",
        "n_views": "int16",
    },
    "metrics": {
        **_MEASURE,
        "n_clips": "int64",
        "n_views": "int16",
    },
    # One row per run of a sweep and number: the metrics of all of them, beside the paper's.
    "results": {
        "cell": "string",
        "group": "string",
        "run": "string",
        "seed": "int64",
        "settings": "string",
        **_MEASURE,
        "paper": "double",
        "n_clips": "int64",
        "n_views": "int16",
    },
}

# Columns that earlier versions did not write; reading gives them as null.
ADDED = {"videos": ("start_s", "mirrored", "decoder", "decord", "stream")}


def schema(kind: str, dimension: int | None = None) -> pa.Schema:
    """The Arrow schema of a table; `narrations` needs the vectors' dimension."""
    import pyarrow as pa

    types = {
        "vector": pa.list_(pa.float32(), dimension or -1),
        "list<int32>": pa.list_(pa.int32()),
        "list<float>": pa.list_(pa.float32()),
    }
    columns = _COLUMNS[kind].items()
    return pa.schema([(n, types.get(t) or pa.type_for_alias(t)) for n, t in columns])
