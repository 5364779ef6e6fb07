"""The one error that users see, and spelling suggestions for it."""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable
from typing import Any

# What keeps one file from being written keeps the next from it too.
_HOPELESS = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EROFS,
    errno.EACCES,
    errno.EEXIST,
    errno.ENOTDIR,
}


class SumlError(Exception):
    """A fault that the user can mend, worded as `WHERE: WHAT, got X; expected Y. FIX`.

    Args:
        where: the file, row, option or key at fault.
        what: what is wrong there.
        got: the value found.
        expected: what would have been right.
        fix: what to do about it, one sentence.
    """

    def __init__(
        self, where: object, what: str, *, got: object, expected: object, fix: str
    ) -> None:
        self.where, self.what = str(where), what
        self.got, self.expected, self.fix = str(got), str(expected), fix
        text = f"{where}: {what}, got {got}; expected {expected}. {fix}"
        super().__init__(" ".join(text.split()))

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (type(self), str(self), vars(self))


def _again(kind: type[SumlError], text: str, told: dict[str, Any]) -> SumlError:
    """An error as another process raised it; kinds of it may be made in ways of their own."""
    error = kind.__new__(kind, text)
    vars(error).update(told)
    return error


class WriteError(SumlError):
    """The file system refuses a file, and will refuse the next."""


def nearest_names(name: str, known: Iterable[str], n: int = 3) -> list[str]:
    """The up to `n` known names that look most like `name`, best first."""
    folded = {k.casefold(): k for k in known}
    close = difflib.get_close_matches(name.casefold(), folded, n=n, cutoff=0.5)
    return [folded[c] for c in close]


def unknown_name(where: object, kind: str, name: str, known: Iterable[str]) -> SumlError:
    """The error for a name that does not exist, with its nearest matches."""
    known = sorted(known)
    near = nearest_names(name, known)
    fix = f"Did you mean {' or '.join(near)}?" if near else f"Known: {', '.join(known) or 'none'}."
    return SumlError(
        where, f"no such {kind}", got=repr(name), expected=f"one of {len(known)} known", fix=fix
    )


def from_os_error(error: OSError, where: object = None, *, writing: bool = False) -> SumlError:
    """An operating-system fault in the words of our grammar.

    Args:
        error: the fault.
        where: the file, if the fault names none.
        writing: whether it came of writing; what bars every file is then a `WriteError`.
    """
    where = where or error.filename or "file system"
    in_the_way = (
        "a file lies where a folder is to be",
        "Move it elsewhere and run the same command again.",
    )
    reasons = {
        errno.EEXIST: in_the_way,
        errno.ENOTDIR: in_the_way,
        errno.ENOSPC: ("the disk is full", "Free some space and run the same command again."),
        errno.EROFS: ("the file system is read-only", "Choose another --workspace."),
        errno.EACCES: ("no permission", "Change the permission or choose another --workspace."),
    }
    what, fix = reasons.get(
        error.errno or 0, (error.strerror or str(error), "Mend it and run the same command again.")
    )
    kind = WriteError if writing and error.errno in _HOPELESS else SumlError
    return kind(where, what, got=f"errno {error.errno}", expected="a working path", fix=fix)


class Interrupted(Exception):  # noqa: N818, somebody's wish and no error
    """A stop that somebody asked for with a signal; what was done is kept.

    Args:
        signal_number: such as SIGTERM.
        text: where it stopped and how to go on, one line.
    """

    def __init__(self, signal_number: int, text: str) -> None:
        self.signal_number = signal_number
        super().__init__(text)
