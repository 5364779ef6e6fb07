"""Whose fault it is that a video cannot be read: its own, the program's, or the installation's.

A TypeError says nothing about a video: a library may have changed its calls, or this program has a
fault that this video alone brings to light. What tells these apart is a film that is known to be
sound. It comes with the package, as a file, since what cannot read may not write either.

`film.mp4` was written with PyAV: H.264 by libx264, 64 x 48 pixels, eight frames at 8 Hz in one
group, frame i of the grey 30 i.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TypeVar

from sumlctl.errors import InstallationError, ProgramError, SumlError
from sumlctl.jobs.executors import Executor, Limits
from sumlctl.jobs.worker import Failure, out_of_memory

Item = TypeVar("Item")
Result = TypeVar("Result")

FILM = Path(__file__).with_name("film.mp4")
_FRAMES, _RATE, _STEP, _OFF = 8, 8.0, 30, 6
_LIMITS = Limits(deadline_s=60.0)


def with_fault_check(function: Callable[[Item], Result]) -> Callable[[Item], Result]:
    """Decorate a function that reads the video of an item: errors then say whose fault they are.

    What this program says of a video (SumlError), what FFmpeg says of it and what the system says
    of its file (OSError) are properties of the video or its place. Every other error is one that
    nobody foresaw: of the program, unless the film cannot be read either.

    The decorated function raises besides:
        ProgramError: instead of an error that is none of these.
        InstallationError: the same, where the film cannot be read either.
    """

    @wraps(function)
    def checked(item: Item) -> Result:
        try:
            return function(item)
        except (SumlError, OSError):
            raise
        except Exception as error:
            if _is_of_ffmpeg(error) or out_of_memory(error):
                raise
            read_film(because_of=error)
            raise ProgramError.of(error) from error

    return checked


def read_film(because_of: Exception | None = None) -> None:
    """Probe and read the film that comes with the package.

    Args:
        because_of: the error that gave a reason to.

    Raises:
        InstallationError: it cannot be read.
    """
    try:
        fault = _fault_of_film()
    except Exception as error:
        raise _installation_error(_described(because_of or error)) from error
    if fault:
        raise _installation_error(_described(because_of) if because_of else fault)


def check_installation(executor: Executor) -> None:
    """Read the film where an executor reads videos.

    Raises:
        InstallationError: it cannot be read there.
    """
    for _, answer in executor.run(_read_film, [None], _LIMITS):
        if isinstance(answer, Failure):
            raise answer.error or _installation_error(answer.reason)


def _read_film(_: None) -> None:
    read_film()


def _fault_of_film() -> str | None:
    """What is not as it should be about the film as it is read here."""
    from sumlctl.video.probe import probe
    from sumlctl.video.read import read_frames

    found = probe(FILM, ask_decord=False)
    if found.status != "ok" or found.n_frames != _FRAMES:
        return f"{found.n_frames} frames of {_FRAMES}: {found.error}"
    pixels = read_frames(FILM, [i / _RATE for i in range(_FRAMES)], decoder="pyav").pixels
    greys = pixels.mean(axis=(1, 2, 3)).tolist()
    if any(abs(grey - _STEP * i) > _OFF for i, grey in enumerate(greys)):
        return f"pictures of greys {[round(grey) for grey in greys]}"
    return None


def _is_of_ffmpeg(error: Exception) -> bool:
    try:
        import av

        return isinstance(error, av.FFmpegError)
    except (ImportError, AttributeError):
        return False


def _described(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _installation_error(got: str) -> InstallationError:
    try:
        import av

        version = f"av {av.__version__}"
    except (ImportError, AttributeError):
        version = "no av that can be imported"
    return InstallationError(
        "installation",
        "the film that comes with sumlctl cannot be read either, so no video is at fault",
        got=f"{got} ({version})",
        expected="a PyAV that sumlctl works with",
        fix="Install sumlctl anew in an environment of its own. No video was marked unreadable.",
    )
