"""Where sets of instruments keep their clips and labels: NSynth, IRMAS, OpenMIC, folders named by what plays, spans."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from pathlib import Path

from transcribe.datasets import Dataset, Piece, recordings
from transcribe.errors import InputError
from transcribe.events import Tag, Transcription
from transcribe.formats.reading import decode, read_bytes
from transcribe.instruments.decoder import FAMILIES, INSTRUMENTS

IRMAS_CODES = {
    "cel": "cello", "cla": "clarinet", "flu": "flute", "gac": "acoustic guitar", "gel": "electric guitar",
    "org": "organ", "pia": "piano", "sax": "saxophone", "tru": "trumpet", "vio": "violin", "voi": "voice",
}  # fmt: skip
# OpenMIC's twenty names, but for those that are none of ours: accordion, banjo, cymbals, mandolin, ukulele.
OPENMIC = {
    "bass": "bass", "cello": "cello", "clarinet": "clarinet", "drums": "drums", "flute": "flute", "guitar": "guitar",
    "mallet_percussion": "mallets", "organ": "organ", "piano": "piano", "saxophone": "saxophone",
    "synthesizer": "synth", "trombone": "trombone", "trumpet": "trumpet", "violin": "violin", "voice": "voice",
}  # fmt: skip
# The relevance from which OpenMIC counts an instrument as there.
_RELEVANT = 0.5
# What else folders are called.
_ALIASES = {
    "violin or fiddle": "violin", "fiddle": "violin", "contrabass": "double bass", "hi hat": "hi-hat",
    "hihat": "hi-hat", "kick": "bass drum", "snare": "snare drum", "sax": "saxophone", "french horn": "horn",
    "vocals": "voice", "vocal": "voice", "singing": "voice", "guitar": "guitar", "drum kit": "drums",
    "strings": "string section", "drum set": "drums", "singer": "voice", "synthesizer": "synth",
}  # fmt: skip


def load_nsynth(folder: Path, _: Path | None = None) -> list[Piece]:
    """Read ``examples.json`` and ``audio/*.wav``; labels are families.

    Raises
    ------
    InputError
        If ``examples.json`` is missing or something else.
    """
    path = folder / "examples.json"
    try:
        examples = json.loads(path.read_text(encoding="utf-8"))
        rows = {name: str(example["instrument_family_str"]).replace("_", " ") for name, example in examples.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"{path}: not NSynth's examples.json: {' '.join(str(error).split())[:120]}") from None
    strange = sorted(set(rows.values()) - set(FAMILIES))
    if strange:
        raise InputError(f"{path}: {strange[0]!r} is none of NSynth's families")
    return [_clip(folder / "audio" / f"{name}.wav", (family,), "families") for name, family in sorted(rows.items())]


def load_irmas(folder: Path, _: Path | None = None) -> list[Piece]:
    """Read training folders named by IRMAS' codes (``cel``, ``gac`` …), or test clips beside a ``.txt`` of codes.

    Raises
    ------
    InputError
        If a code is unknown.
    """
    found = []
    for audio in recordings(folder):
        text = audio.with_suffix(".txt")
        codes = text.read_text(encoding="utf-8").split() if text.is_file() else [audio.parent.name]
        if not text.is_file() and codes[0] not in IRMAS_CODES:
            continue
        strange = [code for code in codes if code not in IRMAS_CODES]
        if strange or not codes:
            raise InputError(f"{text}: {strange[0] if strange else 'nothing'!r} is none of IRMAS' codes")
        found.append(_clip(audio, tuple(sorted({IRMAS_CODES[code] for code in codes})), "instruments"))
    return found


def load_openmic(folder: Path, _: Path | None = None) -> list[Piece]:
    """Read OpenMIC-2018: what listeners agree on to be there or not; of the other instruments of a clip nobody knows.

    Raises
    ------
    InputError
        If the table of labels is something else.
    """
    tables = sorted(folder.glob("*aggregated-labels.csv"))
    if not tables:
        return []
    there: dict[str, list[str]] = defaultdict(list)
    absent: dict[str, list[str]] = defaultdict(list)
    try:
        for row in csv.DictReader(decode(read_bytes(tables[0])).splitlines()):
            side = there if float(row["relevance"]) >= _RELEVANT else absent
            if row["instrument"] in OPENMIC:
                side[row["sample_key"]].append(OPENMIC[row["instrument"]])
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{tables[0]}: not OpenMIC's labels: {' '.join(str(error).split())[:120]}") from None
    split = {
        key: path.stem.rpartition("_")[2]
        for path in sorted(folder.glob("partitions/*.csv"))
        for key in decode(read_bytes(path)).split()
    }
    return [
        Piece(
            audio.stem, audio, tables[0], split.get(audio.stem, ""), tuple(sorted(there[audio.stem])), "instruments",
            tuple(sorted(absent[audio.stem])),
        )
        for audio in recordings(folder / "audio")
        if audio.stem in there or audio.stem in absent
    ]  # fmt: skip


def load_spans(folder: Path, _: Path | None = None) -> list[Piece]:
    """Read recordings with a table of who plays from when to when, ``NAME.instruments.tsv``, beside them or apart."""
    tables = {path.name.removesuffix(".instruments.tsv"): path for path in sorted(folder.rglob("*.instruments.tsv"))}
    found = {audio.stem: audio for audio in reversed(recordings(folder)) if audio.stem in tables}
    return [Piece(name, found[name], tables[name], "", read=read_spans) for name in sorted(found)]


def read_spans(path: Path) -> Transcription:
    """Read lines of onset s, offset s and instrument, parted by tabs; families, and none for what belongs to none.

    Raises
    ------
    InputError
        If it is something else.
    """
    tags = []
    try:
        for line in decode(read_bytes(path)).splitlines():
            onset, offset, name = line.split("\t")[:3]
            if family := family_named(name):
                tags.append(Tag(float(onset), float(offset), family, 1.0))
    except ValueError as error:
        raise InputError(f"{path}: not a table of onset, offset and instrument: {error}") from None
    return Transcription(instruments=tuple(sorted(tags)), duration=max((tag.offset for tag in tags), default=0.0))


def family_named(text: str) -> str | None:
    """Name the family of what is called by a full name or by its last word: ``clean electric guitar`` is a guitar."""
    for name in (instrument_named(text), instrument_named(text.split()[-1] if text.split() else "")):
        if name in INSTRUMENTS or name in FAMILIES:
            return INSTRUMENTS.get(name, name)
    return None


def load_clips(folder: Path, _: Path | None = None) -> list[Piece]:
    """Read folders named by what plays in their clips: instruments, or families if one of them is only a family.

    Raises
    ------
    InputError
        If a folder's name is neither.
    """
    found = [(audio, instrument_named(audio.parent.name)) for audio in recordings(folder)]
    for audio, name in found:
        if name not in INSTRUMENTS and name not in FAMILIES:
            known = ", ".join((*INSTRUMENTS, *(family for family in FAMILIES if family not in INSTRUMENTS)))
            raise InputError(f"{audio.parent}: a folder should be named by an instrument or a family: {known}")
    if all(name in INSTRUMENTS for _, name in found):
        return [_clip(audio, (name,), "instruments") for audio, name in found]
    return [_clip(audio, (INSTRUMENTS.get(name, name),), "families") for audio, name in found]


def instrument_named(text: str) -> str:
    """Bring a folder's name to the vocabulary's way: ``Violin_or_fiddle`` is ``violin``."""
    name = text.replace("_", " ").strip().lower()
    return _ALIASES.get(name, name)


def _clip(audio: Path, labels: tuple[str, ...], vocabulary: str) -> Piece:
    return Piece(audio.stem, audio, audio.parent, "", labels, vocabulary)


_DATASETS = (
    Dataset("nsynth", load_nsynth, "", "examples.json beside audio/*.wav"),
    Dataset("irmas", load_irmas, "", "folders cel, cla, flu …, or clips beside .txt files of such codes"),
    Dataset(
        "openmic", load_openmic, "OpenMIC-2018 is to be had at zenodo.org (CC BY 4.0)",
        "openmic-2018-aggregated-labels.csv, partitions/split01_test.csv, audio/000/000046_3840.ogg …", "test",
    ),
    Dataset("spans", load_spans, "", "recordings, and tables NAME.instruments.tsv of onset s, offset s and instrument"),
    Dataset("clips", load_clips, "", "folders of clips, each named by an instrument or a family"),
)  # fmt: skip
DATASETS = {dataset.name: dataset for dataset in _DATASETS}
