"""What the bytes of a file tell before a decoder is asked: where recordings begin in it, and what their headers say.

Decoders stop at the end of the first recording of several in a file, at a length that a killed recorder left at 0, at
rubbish before the first frame. Each recording is shown to them by itself, as a :class:`Window` of the file.

Sources: RFC 3533 (Ogg pages), EBU Tech 3306 (RF64), the AIFF-C draft of 1991, ISO 11172-3 (frames of MPEG audio), the
Xing and Info frames as LAME writes them, RFC 9639 (FLAC).
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import IO

# What begins so is one of these containers, and no frames of MPEG audio after rubbish.
_MAGIC = (
    *(b"RIFF", b"RIFX", b"RF64", b"FORM", b"OggS", b"fLaC", b"caff", b"riff", b".snd", b"dns.", b"wvpk", b"MAC "),
    *(b"\x1a\x45\xdf\xa3", b"FLV", b"\x30\x26\xb2\x75", b"#!AMR", b"\x0b\x77", b"\x47\x40", b"#EXTM3U", b"TTA1"),
)
_MAGIC_AT_4 = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
_RIFF = (b"RIFF", b"RIFX", b"RF64")
# Lengths so near to 2 or 4 GiB were written by programs that couldn't know them, in bytes.
_UNKNOWN = 1 << 20
# Rubbish that is searched for the first frame of MPEG audio; a joint holds less. In bytes.
_RUBBISH, _JOINT = 1 << 20, 1 << 14
# Bytes that are searched at a time.
_BLOCK = 1 << 22


@dataclass(frozen=True)
class Part:
    """A recording within a file, from byte ``first`` up to ``last``.

    ``patch``: bytes that take the place of the file's own, and where. ``promised``: seconds that the header says, None
    where it doesn't. ``share``: how much is there of the bytes that the header says. ``cut``: the mark of its end is
    missing. ``gaps``: something is missing in the middle, as only time stamps tell. ``remark``: what to say of it.
    """

    first: int
    last: int
    patch: tuple[int, bytes] | None = None
    promised: float | None = None
    share: float = 1.0
    cut: bool = False
    gaps: bool = False
    remark: str = ""


class Window:
    """A part of a file as a file; it stays where it is when a damaged header makes a decoder seek out of it."""

    def __init__(self, file: IO[bytes], part: Part) -> None:
        self._file, self._part, self._place = file, part, 0

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a place from the beginning, from here (1) or from the end (2)."""
        place = offset + (0, self._place, self._part.last - self._part.first)[whence]
        if 0 <= place < 1 << 63:
            self._place = place
        return self._place

    def tell(self) -> int:
        """Tell the place."""
        return self._place

    def frames_follow(self) -> bool:
        """Tell whether frames of MPEG audio follow."""
        place = self._part.first + self._place
        return place < self._part.last and _first_frame(self._file, place, _JOINT) is not None

    def read(self, size: int = -1) -> bytes:
        """Read up to ``size`` bytes, all that are left where it is negative."""
        first = self._part.first + self._place
        left = max(0, self._part.last - first)
        content = _at(self._file, first, left if size < 0 else min(size, left))
        self._place += len(content)
        if self._part.patch is not None:
            place, patch = self._part.patch
            for i, byte in enumerate(patch, place - first):
                if 0 <= i < len(content):
                    content = content[:i] + bytes([byte]) + content[i + 1 :]
        return content


def is_known(file: IO[bytes]) -> bool:
    """Tell whether a file begins like something that holds sound."""
    head = _at(file, 0, 12)
    return head.startswith((*_MAGIC, b"ID3")) or head[4:8] in _MAGIC_AT_4 or _frame(head[:4]) is not None


def find_parts(file: IO[bytes]) -> list[Part]:
    """Find the recordings in a file, one after the other; the whole file where nothing is known of it."""
    size = file.seek(0, 2)
    head = _at(file, 0, 12)
    kinds = {b"OggS": _ogg, b"FORM": _form, b"fLaC": _flac, b".snd": _au, **dict.fromkeys(_RIFF, _riff)}
    if head[:4] in kinds:
        parts = list(kinds[head[:4]](file, size))
    elif head.startswith(_MAGIC) or head[4:8] in _MAGIC_AT_4:
        parts = []
    else:
        parts = list(_mpeg(file, size))
    return parts or [Part(0, size)]


def _at(file: IO[bytes], place: int, size: int) -> bytes:
    with contextlib.suppress(OSError, ValueError, OverflowError):
        file.seek(place)
        return file.read(size)
    return b""


# Ogg -----------------------------------------------------------------------------------------------------------------


def _ogg(file: IO[bytes], size: int) -> Iterator[Part]:
    """Find the links of a chain: each begins with a page that begins a stream, after one that doesn't."""
    part: Part | None = None
    beginning = False
    numbers: dict[int, int] = {}
    place = 0
    while len(page := _at(file, place, 27 + 255)) >= 27:
        if page[:4] != b"OggS":
            found = _at(file, place, 1 << 18).find(b"OggS")
            if found < 0:
                break
            place += found
            part = replace(part, gaps=True) if part else part
            continue
        serial, number = struct.unpack("<II", page[14:22])
        if page[5] & 2 and not beginning:
            if part is not None:
                yield replace(part, last=place)
            part, numbers = Part(place, size), {}
        if part is None:
            return
        beginning = bool(page[5] & 2)
        missing = number != (numbers.get(serial, number - 1) + 1) & 0xFFFFFFFF
        part = replace(part, cut=not page[5] & 4, gaps=part.gaps or missing)
        numbers[serial] = number
        place += 27 + page[26] + sum(page[27 : 27 + page[26]])
    if part is not None:
        yield part


# Chunks: WAV, RF64, AIFF ---------------------------------------------------------------------------------------------


def _chunks(file: IO[bytes], place: int, size: int, order: str) -> Iterator[tuple[bytes, int, int]]:
    """Yield (name, place of the content, length) of chunks; the last may be longer than the file."""
    while place + 8 <= size:
        name, length = struct.unpack(f"{order}4sI", _at(file, place, 8))
        yield name, place + 8, length
        place += 8 + length + (length & 1)


def _are_chunks(file: IO[bytes], place: int, size: int, order: str) -> bool:
    """Tell whether a file ends with chunks, tags or zeros, not with sound that its header doesn't count."""
    tail = _at(file, place, 64)
    if len(tail) < 8 or tail.startswith((b"TAG", b"ID3", b"APETAGEX")):
        return True
    if not any(tail[:4]):
        return not any(any(_at(file, at, _BLOCK)) for at in range(place, size, _BLOCK))
    return all(
        name.isascii() and name.decode().isprintable() and at + length <= size + 1
        for name, at, length in _chunks(file, place, size, order)
    )


def _riff(file: IO[bytes], size: int) -> Iterator[Part]:
    first = 0
    while first < size:
        head = _at(file, first, 12)
        if head[:4] not in _RIFF or head[8:] != b"WAVE":
            return
        order = ">" if head[:4] == b"RIFX" else "<"
        part, true_size, field = Part(first, size), None, (0, "<I")
        for name, place, length in _chunks(file, first + 12, size, order):
            if name == b"ds64" and head[:4] == b"RF64":
                true_size = struct.unpack("<Q", _at(file, place + 8, 8).ljust(8, b"\0"))[0]
                field = place + 8, "<Q"
            elif name == b"data":
                if true_size is None or length != 0xFFFFFFFF:
                    true_size, field = length, (place - 4, f"{order}I")
                part = _with_length(file, part, place, true_size, field, order)
                break
        yield part
        first = part.last


def _with_length(file: IO[bytes], part: Part, place: int, length: int, field: tuple[int, str], order: str) -> Part:
    """Judge the length in bytes of the sound that begins at ``place``; ``field`` is where and how it is written."""
    room, size = part.last - place, part.last
    end = place + length + (length & 1)
    if length > room:
        unknown = any(abs(length - limit) < _UNKNOWN for limit in (1 << 31, 1 << 32, 1 << 64))
        return part if unknown or room <= 0 else replace(part, share=room / length)
    if _at(file, end, 4) in _RIFF and _at(file, end + 8, 4) == b"WAVE":
        return replace(part, last=end)
    if _are_chunks(file, end, size, order):
        return part
    limit = 2 ** (8 * struct.calcsize(field[1])) - 2
    said = f"of {length} bytes of sound" if length else "that it holds no sound"
    remark = f"its header says {said}; all up to the end of the file is read"
    return replace(part, patch=(field[0], struct.pack(field[1], min(room, limit))), remark=remark)


def _form(file: IO[bytes], size: int) -> Iterator[Part]:
    first = 0
    while first < size:
        head = _at(file, first, 12)
        if head[:4] != b"FORM" or head[8:] not in (b"AIFF", b"AIFC"):
            return
        part = Part(first, size)
        end = first + 8 + struct.unpack(">I", head[4:8])[0]
        if _at(file, end, 4) == b"FORM":
            part = replace(part, last=end)
        for name, place, _ in _chunks(file, first + 12, part.last, ">"):
            if name == b"COMM" and len(common := _at(file, place, 18)) == 18:
                n_frames, _, exponent, mantissa = struct.unpack(">IhhQ", common[2:])
                rate = mantissa * 2.0 ** (min(exponent, 16446) - 16446) if exponent > 0 else 0.0
                part = replace(part, promised=n_frames / rate if rate and n_frames else None)
        yield part
        first = part.last


def _au(file: IO[bytes], size: int) -> Iterator[Part]:
    head = _at(file, 0, 24)
    if len(head) == 24:
        place, length = struct.unpack(">II", head[4:12])
        patched = length == 0 and place < size
        yield Part(0, size, (8, b"\xff" * 4) if patched else None)


# FLAC ----------------------------------------------------------------------------------------------------------------


def _flac(file: IO[bytes], size: int) -> Iterator[Part]:
    first = 0
    for place in _found(file, b"fLaC", size):
        if place and _at(file, place + 4, 4)[:1] in (b"\x00", b"\x80") and _at(file, place + 5, 3) == b"\x00\x00\x22":
            yield Part(first, place)
            first = place
    yield Part(first, size)


def _found(file: IO[bytes], mark: bytes, size: int) -> Iterator[int]:
    for place in range(0, size, _BLOCK):
        content = _at(file, place, _BLOCK + len(mark) - 1)
        found = content.find(mark)
        while found >= 0:
            yield place + found
            found = content.find(mark, found + 1)


# MPEG audio ----------------------------------------------------------------------------------------------------------

_BIT_RATES = {
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}


@dataclass(frozen=True)
class _Frame:
    """A header of MPEG audio; ``side`` are the bytes between it and an Info frame's mark, ``length`` is in bytes."""

    length: int
    n_samples: int
    sample_rate: int
    layer: int
    side: int


def _frame(header: bytes) -> _Frame | None:
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return None
    version, layer = (header[1] >> 3) & 3, 4 - ((header[1] >> 1) & 3)
    rate, place = (header[2] >> 4), (header[2] >> 2) & 3
    if version == 1 or layer == 4 or rate in (0, 15) or place == 3:
        return None
    sample_rate = (44100, 48000, 32000)[place] >> {3: 0, 2: 1, 0: 2}[version]
    kind = 1 if version == 3 else 2
    n_samples = 384 if layer == 1 else 576 if layer == 3 and kind == 2 else 1152
    slot, padding = (4 if layer == 1 else 1), (header[2] >> 1) & 1
    length = (n_samples // 8 // slot * _BIT_RATES[kind, layer][rate - 1] * 1000 // sample_rate + padding) * slot
    mono = header[3] >> 6 == 3
    side = (17 if mono else 32) if kind == 1 else (9 if mono else 17)
    return _Frame(length, n_samples, sample_rate, layer, side)


def _first_frame(file: IO[bytes], place: int, limit: int, n: int = 4) -> tuple[int, _Frame] | None:
    """Find the first of ``n`` frames in a row that begins within ``limit`` bytes."""
    content = _at(file, place, limit + n * 4096)
    found = content.find(b"\xff")
    while 0 <= found < limit:
        first = _frame(content[found : found + 4])
        at, frame = found, first
        for _ in range(n - 1):
            if frame is None:
                break
            at += frame.length
            frame = _frame(content[at : at + 4])
        if first is not None and frame is not None and frame.sample_rate == first.sample_rate:
            return place + found, first
        found = content.find(b"\xff", found + 1)
    return None


def _after_tags(file: IO[bytes], place: int) -> int:
    while True:
        head = _at(file, place, 32)
        if head[:3] == b"ID3" and len(head) > 9:
            place += 10 + sum((byte & 127) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
        elif head[:3] == b"TAG":
            place += 128
        elif head[:8] == b"APETAGEX" and len(head) == 32:
            size, flags = struct.unpack("<I4xI", head[12:24])
            place += 32 + (size if flags >> 29 & 1 else 0)
        else:
            return place


def _info(file: IO[bytes], place: int, frame: _Frame) -> tuple[int | None, int | None]:
    """Read how many frames and bytes an Xing or Info frame promises."""
    content = _at(file, place + 4 + frame.side, 16).ljust(16, b"\0")
    if content[:4] not in (b"Xing", b"Info"):
        return None, None
    flags, *values = struct.unpack(">III", content[4:])
    n_frames = values.pop(0) if flags & 1 else None
    return n_frames, values.pop(0) if flags & 2 else None


def _mpeg(file: IO[bytes], size: int) -> Iterator[Part]:
    place = 0
    while place < size:
        begin = _after_tags(file, place)
        if _at(file, begin, 4) in (b"fLaC", b"OggS", b"RIFF", b"FORM"):
            return
        found = _first_frame(file, begin, _JOINT if place else _RUBBISH)
        if found is None:
            return
        first, frame = found
        n_frames, n_bytes = _info(file, first, frame)
        # Up to two frames are the delay and the padding of the encoder.
        promised = max(0, n_frames - 2) * frame.n_samples / frame.sample_rate if n_frames else None
        last = first + n_bytes if n_bytes else size
        # Tags at the very beginning are left to the decoder, as long as the first frame follows.
        first = place if not place and first == begin else first
        following = _first_frame(file, _after_tags(file, last), _JOINT) if first < last < size else None
        yield Part(first, last if following else size, promised=promised)
        if not following:
            return
        place = last
