"""The table of file formats: suffix → writer and reader. Writers return bytes; nothing here touches the disk."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from transcribe.errors import InputError, UsageError
from transcribe.events import Transcription
from transcribe.formats.format import Format, charted, detailed, handed, illustrated, lazily, plain
from transcribe.formats.reading import read_bytes

# Labels and numbers of files may be of any length; what is said of them may not.
_LONGEST_REASON = 300

_CHORDS = frozenset({"chords"})
_PICTURE = frozenset({"reference", "spectrogram"})
_PAGE = frozenset({"reference", "sound"})


def _score(name: str, suffixes: tuple[str, ...], function: str) -> Format:
    check = partial(lazily("formats.musicxml.check_installed"), name)
    return Format(name, suffixes, detailed(function), detailed=True, check=check)


def _chart(name: str, suffixes: tuple[str, ...], function: str) -> Format:
    return Format(name, suffixes, charted(function), needs=_CHORDS, charted=True)


_FORMATS = (
    Format("midi", (".mid", ".midi"), handed("formats.midi.to_midi"), lazily("formats.midi.from_midi"), handed=True),
    Format("json", (".json",), plain("formats.json.to_json"), lazily("formats.json.from_json")),
    Format("csv", (".csv",), plain("formats.csv.to_csv"), lazily("formats.csv.from_csv")),
    Format("png", (".png",), illustrated("report.roll.to_png"), shows=_PICTURE),
    Format("svg", (".svg",), illustrated("report.roll.to_svg"), shows=_PICTURE),
    Format("html", (".html", ".htm"), illustrated("formats.page.to_html"), shows=_PAGE),
    _score("musicxml", (".musicxml", ".xml"), "formats.musicxml.to_musicxml"),
    _score("mxl", (".mxl",), "formats.musicxml.to_mxl"),
    _score("pdf", (".pdf",), "formats.engraving.to_pdf"),
    _score("score", (".score.svg",), "formats.engraving.to_svg"),
    Format("beats", (".beats",), plain("formats.beats.to_beats")),
    Format("npz", (".npz",), lazily("formats.npz.write"), needs=frozenset({"activations"})),
    Format("jams", (".jams",), plain("formats.jams.to_jams")),
    Format("lab", (".lab",), plain("formats.lab.chords_to_lab"), lazily("formats.lab.from_lab"), needs=_CHORDS),
    _chart("chordpro", (".cho", ".pro", ".chordpro"), "formats.leadsheet.to_chordpro"),
    _chart("leadsheet", (".txt",), "formats.leadsheet.to_lead_sheet"),
)
# What a whole transcription is written as.
FORMATS: Mapping[str, Format] = {form.name: form for form in _FORMATS}


def format_of(path: Path, formats: Mapping[str, Format] = FORMATS) -> Format:
    """Choose the format by a path's suffix.

    Raises
    ------
    UsageError
        If no format has it.
    """
    # song.score.svg is a score, song.svg is not.
    for suffix in ("".join(path.suffixes[-2:]).lower(), path.suffix.lower()):
        for form in formats.values():
            if suffix in form.suffixes:
                return form
    known = ", ".join(form.suffixes[0] for form in formats.values())
    raise UsageError(f"{path.name}: unknown format {path.suffix or '(no suffix)'}; use one of {known}, or --format")


def read_transcription(path: Path) -> Transcription:
    """Read a file in any of the formats.

    Raises
    ------
    InputError
        If it can't be read.
    """
    form = format_of(path)
    if form.read is None:
        known = ", ".join(other.suffixes[0] for other in FORMATS.values() if other.read)
        raise InputError(f"{path}: {form.name} is written only; what can be read is {known}")
    content = read_bytes(path)
    try:
        return form.read(content)
    except InputError as error:
        raise InputError(f"{path}: {str(error)[:_LONGEST_REASON]}") from None
