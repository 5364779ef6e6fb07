"""One command at a time for each piece of work of a workspace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

from sumlctl.errors import SumlError, from_os_error
from sumlctl.workspace import Workspace


@contextmanager
def alone(workspace: Workspace, work: str, *, wait: bool = False) -> Iterator[None]:
    """Keeps other commands from the same work; where files cannot be locked, nobody is kept.

    The lock goes with the process that holds it, however that ends.

    Args:
        workspace: where the work is done.
        work: such as `index ek55`.
        wait: whether to wait for the other command, where it will not be long.

    Raises:
        SumlError: another command is at it, or the workspace cannot be written to.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(workspace.locks / f"{quote(work, safe='')}.lock")
    try:
        workspace.locks.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=-1 if wait else 0)
    except Timeout as error:
        raise SumlError(
            work,
            "another sumlctl command is doing this",
            got=f"its lock {workspace.relative(workspace.locks)}",
            expected="one at a time in a workspace",
            fix="Wait until it is done, then run this again.",
        ) from error
    except NotImplementedError:
        pass
    except OSError as error:
        raise from_os_error(error, workspace.locks) from error
    try:
        yield
    finally:
        lock.release()
