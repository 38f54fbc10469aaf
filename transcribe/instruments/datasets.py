"""Where the public sets of instruments keep their clips and labels: NSynth, IRMAS, folders named by what plays."""

from __future__ import annotations

import json
from pathlib import Path

from transcribe.datasets import Dataset, Piece, recordings
from transcribe.errors import InputError
from transcribe.instruments.decoder import FAMILIES, INSTRUMENTS

IRMAS_CODES = {
    "cel": "cello", "cla": "clarinet", "flu": "flute", "gac": "acoustic guitar", "gel": "electric guitar",
    "org": "organ", "pia": "piano", "sax": "saxophone", "tru": "trumpet", "vio": "violin", "voi": "voice",
}  # fmt: skip
# What else folders are called.
_ALIASES = {
    "violin or fiddle": "violin", "fiddle": "violin", "contrabass": "double bass", "hi hat": "hi-hat",
    "hihat": "hi-hat", "kick": "bass drum", "snare": "snare drum", "sax": "saxophone", "french horn": "horn",
    "vocals": "voice", "vocal": "voice", "singing": "voice", "guitar": "guitar", "drum kit": "drums",
    "strings": "string section",
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
    Dataset("clips", load_clips, "", "folders of clips, each named by an instrument or a family"),
)
DATASETS = {dataset.name: dataset for dataset in _DATASETS}
