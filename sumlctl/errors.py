"""The one error that users see, and spelling suggestions for it."""

from __future__ import annotations

import difflib
import errno
import re
import traceback
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

# What a terminal would obey or cannot show: control characters but tab and line feed, changes of
# the direction of writing, halves of characters.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_PACKAGE = Path(__file__).parent
_LONGEST = 2000  # letters of a value in a message
_LONGEST_NAME = 100  # that is compared with known ones
# What keeps one file from being written keeps the next from it too.
_HOPELESS = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EROFS,
    errno.EACCES,
    errno.EEXIST,
    errno.ENOTDIR,
}


def plain(text: str) -> str:
    """The text with every character that a terminal would obey written out, such as `\\x1b`."""
    return _UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


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
        self.got, self.expected, self.fix = _shortened(str(got)), str(expected), fix
        text = f"{where}: {what}, got {self.got}; expected {expected}. {fix}"
        super().__init__(plain(" ".join(text.split())))

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (type(self), str(self), vars(self))


def _again(kind: type[SumlError], text: str, told: dict[str, Any]) -> SumlError:
    """An error as another process raised it; kinds of it may be made in ways of their own."""
    error = kind.__new__(kind, text)
    vars(error).update(told)
    return error


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


class WriteError(SumlError):
    """The file system refuses a file, and will refuse the next."""


class InstallationError(SumlError):
    """A fault of the libraries as they are installed, which everything else would meet too."""


class ProgramError(SumlError):
    """An error that nobody foresaw, and that says nothing about the data it came up with."""

    WHAT = "fault of the program, and not of the video"

    @classmethod
    def of(cls, error: Exception) -> ProgramError:
        """An error with its kind and the place in this program that it came from or through."""
        frames = traceback.extract_tb(error.__traceback__)
        inside = [frame for frame in frames if _PACKAGE in Path(frame.filename).parents]
        where = "sumlctl"
        if inside:
            relative = Path(inside[-1].filename).relative_to(_PACKAGE.parent)
            where = f"{relative.as_posix()}:{inside[-1].lineno}"
        return cls(
            where,
            cls.WHAT,
            got=f"{type(error).__name__}: {error}",
            expected="no such error",
            fix="Report it with this line and, if you can, the video.",
        )


def nearest_names(name: str, known: Iterable[str], n: int = 3) -> list[str]:
    """The up to `n` known names that look most like `name`, best first."""
    folded = {k.casefold(): k for k in known}
    close = difflib.get_close_matches(name.casefold()[:_LONGEST_NAME], folded, n=n, cutoff=0.5)
    return [folded[c] for c in close]


def unknown_name(where: object, kind: str, name: str, known: Iterable[str]) -> SumlError:
    """The error for a name that does not exist, with its nearest matches."""
    known = sorted(known)
    near = nearest_names(name, known)
    fix = f"Did you mean {' or '.join(near)}?" if near else f"Known: {', '.join(known) or 'none'}."
    return SumlError(
        where, f"no such {kind}", got=repr(name), expected=f"one of {len(known)} known", fix=fix
    )


def together(where: object, what: str, faults: Sequence[SumlError]) -> SumlError:
    """Return one error for several faults of a file; a single fault stays as it is."""
    if len(faults) == 1:
        return faults[0]
    each = "; ".join(f"{f.what}, got {f.got} ({_hint(f)})" for f in faults)
    return SumlError(
        where, f"{len(faults)} {what}", got=each, expected="none", fix="Correct the file."
    )


def _hint(fault: SumlError) -> str:
    """What a fault's reader needs to mend it."""
    return fault.fix if fault.fix.startswith(("Did you mean", "Known")) else f"not {fault.expected}"


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
