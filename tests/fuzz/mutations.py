"""Bytes that were sound once: cut, flipped, repeated, spliced."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

_TOKENS = (
    b"\0", b"\xff", b"\x80", b"\n", b"\r\n", b",", b'"', b"'", b";", b"[", b"]", b"{", b"}", b"=",
    b"..", b"../", b"/etc/passwd", b"%2e%2e%2f", b"NaN", b"inf", b"-1", b"1e999", b"9" * 400,
    b"null", b"\xed\xa0\x80", b"\\ud800", b"\xef\xbb\xbf", b"\x1b[31m", b"<script>",
    b"c000 1 2", b"00:00:00", b"99:99:99", b"\xe2\x80\xa8",
)  # fmt: skip
_NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


class Damaged(bytes):
    """Bytes that are shown in a few words."""

    def __repr__(self) -> str:
        return f"<{len(self):,} bytes, {bytes(self[:200])!r}...>"


def mutated(*seeds: bytes) -> st.SearchStrategy[bytes]:
    """One of the seeds after up to eight changes."""
    return st.builds(_changed, st.sampled_from(seeds), st.lists(_change(seeds), max_size=8))


def _change(seeds: Sequence[bytes]) -> st.SearchStrategy[tuple[str, float, float, Any]]:
    place = st.floats(0, 1, exclude_max=True)
    inserted = st.one_of(
        st.sampled_from(_TOKENS),
        st.binary(min_size=1, max_size=8),
        st.sampled_from(_NUMBERS).map(lambda n: struct.pack("<I", n)),
        st.sampled_from(_NUMBERS).map(lambda n: struct.pack("<Q", n)),
        st.text("0123456789.-:", min_size=1, max_size=6).map(str.encode),
    )
    return st.one_of(
        st.tuples(st.sampled_from(["insert", "overwrite"]), place, place, inserted),
        st.tuples(st.just("flip"), place, place, st.integers(1, 255)),
        st.tuples(st.sampled_from(["delete", "repeat", "cut"]), place, place, st.integers(1, 64)),
        st.tuples(st.just("splice"), place, place, st.sampled_from(seeds)),
    )


def _changed(content: bytes, changes: Sequence[tuple[str, float, float, Any]]) -> bytes:
    for kind, first, second, what in changes:
        at = int(first * (len(content) + 1))
        head, tail = content[:at], content[at:]
        if kind == "insert":
            content = head + what + tail
        elif kind == "overwrite":
            content = head + what + tail[len(what) :]
        elif kind == "flip":
            content = head + bytes([tail[0] ^ what]) + tail[1:] if tail else content
        elif kind == "delete":
            content = head + tail[what:]
        elif kind == "repeat":
            content = head + tail[:what] * (1 + what % 7) + tail
        elif kind == "cut":
            content = head
        else:
            other = int(second * (len(what) + 1))
            content = head + what[other:]
    return Damaged(content)
