"""PyAV as a release might be that takes other arguments; Python processes with this folder on
PYTHONPATH cannot open any video.
"""

from __future__ import annotations

from typing import Any

import av

MESSAGE = "open() got an unexpected keyword argument 'metadata_errors'"


def _open(*_: Any, **__: Any) -> Any:
    raise TypeError(MESSAGE)


av.open = _open
