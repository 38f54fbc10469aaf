from __future__ import annotations

import warnings
from itertools import pairwise
from pathlib import Path

import mir_eval
import numpy as np
import pytest
import soundfile
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from tests.signals import RATE, silence, strum, white_noise
from transcribe.chords.datasets import read_chords
from transcribe.chords.metrics import SEGMENTATIONS, evaluate_chords, evaluate_clips, score_chords
from transcribe.errors import InputError
from transcribe.events import Chord
from transcribe.registry import load_dataset
from transcribe.report.confusion import to_png
from transcribe.theory.chords import parse
from transcribe.transcriber import Transcriber

# Three progressions as guitars and pianos voice them; two seconds a chord.
PROGRESSIONS = {
    "C:maj A:min F:maj G:maj": [[48, 52, 55, 60, 64], [45, 52, 57, 60, 64], [41, 48, 53, 57, 60], [43, 50, 55, 59, 62]],
    "D:min7 G:7 C:maj7": [[50, 57, 60, 65], [43, 53, 59, 62], [48, 55, 59, 64]],
    "E:min B:min D:maj": [[40, 47, 52, 55, 59, 64], [47, 54, 59, 62, 66], [50, 57, 62, 66]],
}

# What is written in Harte's syntax: plain labels, and kinds of chords that begin on any root.
LABELS = ["N", "X", "C", "C:maj", "C:maj", "A:min", "A:min/b3", "G:7", "F#/5", "Bb:(1,5)", "D:1"]
KINDS = [
    "maj", "min", "7", "maj7", "min7", "dim", "aug", "sus2", "sus4", "hdim7", "dim7", "minmaj7", "maj6", "min6", "9",
    "maj9", "min11", "13", "maj/3", "min7/b7", "maj(9)", "min(*5)", "7(#9)", "sus4(b7)",
]  # fmt: skip


@pytest.fixture(scope="module")
def recogniser() -> Transcriber:
    return Transcriber(tasks=("chords",), device="cpu")


def progression(pitches: list[list[int]], semitones: int = 0) -> np.ndarray:
    return np.concatenate([strum([p + semitones for p in chord], 2.0) for chord in pitches])


def test_scores_by_hand() -> None:
    reference = [Chord(0, 2, "C:maj"), Chord(2, 4, "A:min7")]
    assert score_chords(reference, reference)["tetrads"] == (1.0, 4.0)
    half = score_chords(reference, [Chord(0, 2, "C:maj"), Chord(2, 4, "A:maj")])
    assert half["root"] == (1.0, 4.0)
    assert half["majmin"] == (0.5, 4.0)
    # A chord of no triad of major or minor isn't counted.
    assert score_chords([Chord(0, 2, "C:maj"), Chord(2, 4, "A:dim")], reference)["majmin"] == (1.0, 2.0)
    assert score_chords(reference, [])["majmin"] == (0.0, 4.0)
    assert score_chords(reference, [Chord(10, 12, "C:maj")])["majmin"] == (0.0, 4.0)
    # What the reference leaves open isn't counted, and a rounded edge is no overlap.
    open_one = [Chord(0, 2.001, "C:maj"), Chord(2, 3, "F:maj"), Chord(8, 10, "G:maj")]
    assert score_chords(open_one, open_one)["root"] == (1.0, 5.0)
    with pytest.raises(InputError, match=r"overlap at 1\.00"):
        score_chords([Chord(0, 2, "C:maj"), Chord(1, 3, "F:maj")], reference)
    with pytest.raises(InputError, match="no chords"):
        score_chords([Chord(1, 1, "C:maj")], reference)
    with pytest.raises(InputError, match="no chords"):
        score_chords([], reference)


def test_a_chord_that_is_written_again_goes_on() -> None:
    by_bar = [Chord(2 * i, 2 * i + 2, label) for i, label in enumerate(["C:maj"] * 4 + ["A:min"] * 2 + ["N"] * 2)]
    once = [Chord(0, 8, "C:maj"), Chord(8, 12, "A:min"), Chord(12, 16, "N")]
    for reference, estimate in ((by_bar, once), (once, by_bar), (by_bar, by_bar)):
        scores = score_chords(reference, estimate)
        assert [scores[name][0] for name in SEGMENTATIONS] == [1.0, 1.0, 1.0]
    # Of 8 s, 4 s and 4 s the longest parts that are found are 6, 4 and 4 s; the other way round, all.
    cut = [Chord(0, 2, "G:maj"), *once[1:], Chord(2, 8, "C:maj")]
    scores = score_chords(once, sorted(cut))
    assert [scores[name][0] for name in SEGMENTATIONS] == pytest.approx([14 / 16, 1.0, 14 / 16])


@st.composite
def sequences(draw: st.DrawFn) -> list[Chord]:
    """Chords that abut, from somewhere on; the same may be written again."""
    edges = sorted(draw(st.sets(st.integers(0, 400), min_size=2, max_size=12)))
    label = st.sampled_from(LABELS) | st.builds(
        "{}:{}".format, st.sampled_from(["C", "C#", "Eb", "Gb"]), st.sampled_from(KINDS)
    )
    return [Chord(a / 16, b / 16, draw(label)) for a, b in pairwise(edges)]


@given(sequences(), sequences())
@settings(max_examples=300, deadline=None)
def test_all_figures_are_those_of_mir_eval(reference: list[Chord], estimate: list[Chord]) -> None:
    sides = [(np.array([(c.onset, c.offset) for c in side]), [c.label for c in side]) for side in (reference, estimate)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            true = mir_eval.chord.evaluate(*sides[0], *sides[1])
        except ValueError:  # it takes no estimate that begins or ends where the reference does, and goes on
            reject()
    scores = score_chords(reference, estimate)
    assert {name: value for name, (value, _) in scores.items()} == pytest.approx(
        {name: true[name] for name in scores}, abs=1e-9
    )
    assert score_chords(reference, reference)["seg"][0] == 1.0


def test_songs_and_clips_are_found_and_scored(tmp_path: Path, recogniser: Transcriber) -> None:
    labels, pitches = next(iter(PROGRESSIONS.items()))
    soundfile.write(tmp_path / "song.wav", progression(pitches), RATE)
    (tmp_path / "song.lab").write_text("".join(f"{2 * i}\t{2 * i + 2}\t{c}\n" for i, c in enumerate(labels.split())))
    songs = load_dataset("chords", tmp_path)
    assert [piece.name for piece in songs] == ["song"]
    report = evaluate_chords(songs, recogniser)
    assert report.means["majmin"] >= 0.85
    assert report.means == pytest.approx(report.pieces["song"])
    clips = tmp_path / "clips"
    for name, chord in (("C", pitches[0]), ("Am", pitches[1]), ("G_min", pitches[3])):
        (clips / name).mkdir(parents=True)
        soundfile.write(clips / name / "1.wav", strum(chord, 2.0), RATE)
    found = load_dataset("chords", clips)
    assert read_chords(found[0].labels)[0].label == "A:min"
    judged = evaluate_clips(found, recogniser)
    assert judged.accuracy == pytest.approx(2 / 3)  # the last one is labelled wrong
    assert judged.confusion["G:min"] == {"G:maj": 1}
    assert to_png(judged.confusion)[:4] == b"\x89PNG"
    assert evaluate_clips(found, recogniser, [parse("A:min")]).confusion["C:maj"] == {"A:min": 1}
    (clips / "C9").mkdir()
    (clips / "X").mkdir()
    for name in ("C9", "X"):
        (clips / name / "1.wav").write_bytes((clips / "C" / "1.wav").read_bytes())
    assert set(evaluate_clips(load_dataset("chords", clips), recogniser).confusion) == {
        "A:min",
        "C:maj",
        "C:9",
        "G:min",
    }
    # A clip's label holds as long as the clip.
    assert evaluate_chords(found, recogniser).pieces["C/1"]["root"] > 0.9


@pytest.mark.parametrize("labels", PROGRESSIONS)
def test_progressions_are_heard(labels: str, recogniser: Transcriber) -> None:
    heard = recogniser.transcribe_audio(progression(PROGRESSIONS[labels]), RATE).chords
    assert [chord.label.split("/")[0] for chord in heard if chord.label != "N"] == labels.split()


@pytest.mark.parametrize("semitones", [-4, -1, 3, 5])
def test_transposed_music_has_transposed_chords(semitones: int, recogniser: Transcriber) -> None:
    for pitches in PROGRESSIONS.values():
        heard = recogniser.transcribe_audio(progression(pitches), RATE).chords
        moved = recogniser.transcribe_audio(progression(pitches, semitones), RATE).chords
        assert [parse(c.label) for c in moved] == [parse(c.label).transposed(semitones) for c in heard]
        assert [c.onset for c in moved] == pytest.approx([c.onset for c in heard], abs=0.17)


def test_no_music_has_no_chord(rng: np.random.Generator, recogniser: Transcriber) -> None:
    for samples in (silence(5.0), white_noise(rng, 5.0), white_noise(rng, 0.5)):
        assert [chord.label for chord in recogniser.transcribe_audio(samples, RATE).chords] == ["N"]
    empty = recogniser.transcribe_audio(silence(0.0), RATE)
    assert (empty.chords, empty.warnings) == ((), ("the recording holds no samples",))


def test_a_strum_of_a_second_has_one_chord(recogniser: Transcriber) -> None:
    (chord,) = recogniser.transcribe_audio(strum([40, 47, 52, 56, 59, 64], 1.0), RATE).chords
    assert chord.label == "E:maj"
    assert (chord.onset, chord.offset) == (0.0, 1.0)


def test_vocabularies_and_the_main_summary_agree(recogniser: Transcriber) -> None:
    samples = progression(PROGRESSIONS["D:min7 G:7 C:maj7"])
    simple = Transcriber(tasks=("chords",), model=recogniser.model, vocabulary="majmin").transcribe_audio(samples, RATE)
    assert [c.label for c in simple.chords if c.label != "N"] == ["D:min", "G:maj", "C:maj"]
    both = Transcriber(tasks=("notes", "chords"), model="any", device="cpu").transcribe_audio(samples, RATE)
    assert both.chords == recogniser.transcribe_audio(samples, RATE).chords
    assert set(both.models) == {"notes", "chords"}
    alone = Transcriber(tasks=("notes",), model="any", device="cpu").transcribe_audio(samples, RATE)
    assert (alone.notes, alone.chords) == (both.notes, ())


def test_blocks_make_no_difference(recogniser: Transcriber) -> None:
    samples = np.tile(progression(PROGRESSIONS["E:min B:min D:maj"]), 8)
    whole = list(recogniser.activations([samples]))
    pieces = list(recogniser.activations(np.array_split(samples, 7)))
    assert sum(map(len, whole)) == -(-len(samples) // (320 * 4))
    for a, b in zip(whole, pieces, strict=True):
        assert np.array_equal(a.chord, b.chord)
        assert np.array_equal(a.bass, b.bass)
