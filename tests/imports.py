"""Which libraries a command line imports."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence


def printed_without(heavy: Sequence[str], word: str, and_then: str = "pass") -> str:
    """What `sumlctl WORD` prints; fails where a process that runs it imports one of `heavy`.

    Args:
        heavy: top-level modules.
        word: the command or option.
        and_then: a statement for the same process.
    """
    code = f"""
import sys
sys.argv = ["sumlctl", "{word}"]
from sumlctl.cli.app import main
try:
    main()
finally:
    {and_then}
    sys.stderr.write(" ".join(m for m in {tuple(heavy)} if m in sys.modules))
"""
    run = (sys.executable, "-c", code)
    done = subprocess.run(run, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout
