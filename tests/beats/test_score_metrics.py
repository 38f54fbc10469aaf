"""Scores measured on a tree of one piece: three bars of 2/4 with a pick-up, a tie, a grace note and a repeat."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import pytest

from transcribe.beats.datasets import DATASETS
from transcribe.beats.score_metrics import METRICS, AlignedNote, passable, read_alignment, score_notation
from transcribe.cli import main as cli
from transcribe.errors import InputError
from transcribe.events import Key, Metre, Note, Transcription
from transcribe.formats.midi import to_midi
from transcribe.formats.musicxml_reader import ScoreNote, read_score_notes
from transcribe.score.beats import Beats

F = Fraction


def written(id_: str, pitch: str, duration: int, staff: int = 1, more: str = "", duration_too: bool = True) -> str:
    step, alter, octave = pitch[0], pitch.count("#") - pitch.count("b"), pitch[-1]
    lasts = f"<duration>{duration}</duration>" if duration_too else ""
    return (
        f'<note id="{id_}">{more}<pitch><step>{step}</step><alter>{alter}</alter><octave>{octave}</octave></pitch>'
        f"{lasts}<voice>{4 * staff - 3}</voice><staff>{staff}</staff></note>"
    )


SCORE = (
    '<score-partwise><part id="P1"><measure number="0"><attributes><divisions>2</divisions><key><fifths>-3</fifths>'
    "</key><time><beats>2</beats><beat-type>4</beat-type></time></attributes>"
    + written("n1", "G4", 2)
    + '</measure><measure number="1">'
    + written("n2", "Ab4", 0, more="<grace/>", duration_too=False)
    + written("n3", "G4", 3)
    + written("n4", "Eb4", 1, more='<tie type="start"/>')
    + "<backup><duration>4</duration></backup>"
    + written("n5", "Eb3", 2, 2)
    + written("n6", "G3", 2, 2, "<chord/>")
    + '</measure><measure number="2">'
    + written("n7", "Eb4", 2, more='<tie type="stop"/>')
    + written("n8", "F4", 2)
    + "</measure></part></score-partwise>"
)


def test_a_score_is_read_with_its_places_lengths_and_names(tmp_path: Path) -> None:
    path = tmp_path / "score.musicxml"
    path.write_text(SCORE)
    notes = {note.id: note for note in read_score_notes(path)}
    assert {id_: (n.bar, n.place, n.length) for id_, n in notes.items()} == {
        "n1": (0, F(1), F(1)),  # counted as in a whole bar
        "n2": (1, F(0), F(0)),
        "n3": (1, F(0), F(3, 2)),
        "n4": (1, F(3, 2), F(3, 2)),  # with what is tied to it
        "n5": (1, F(0), F(1)),
        "n6": (1, F(0), F(1)),
        "n8": (2, F(1), F(1)),
    }
    assert notes["n4"] == ScoreNote("n4", 1, F(3, 2), F(3, 2), 63, "Eb", 1, "1", -3, "2/4")
    assert notes["n6"].staff == 2
    path.write_text("<score-timewise/>")
    with pytest.raises(InputError, match="score-partwise"):
        read_score_notes(path)


def _tree(folder: Path) -> Path:
    """Write a piece of twelve bars of quarters in both hands, played exactly."""
    own = folder / "Composer__Piece"
    own.mkdir()
    bars, notes, rows, beats = [], [], [], []
    for bar in range(12):
        inner = "<attributes><divisions>1</divisions><key><fifths>0</fifths></key><time><beats>2</beats>"
        inner = f"{inner}<beat-type>4</beat-type></time></attributes>" if bar == 0 else ""
        for hand, pitches in ((1, ("E5", "G5")), (2, ("C3", "G3"))):
            inner += "<backup><duration>2</duration></backup>" if hand == 2 else ""
            for beat, name in enumerate(pitches):
                id_ = f"h{hand}b{bar}n{beat}"
                inner += written(id_, name, 1, hand)
                time = 1.0 + 0.5 * (2 * bar + beat)
                pitch = {"E5": 76, "G5": 79, "C3": 48, "G3": 55}[name]
                notes.append(Note(time, pitch, time + 0.48, 80))
                rows.append(f"{id_}-1\tn0\t1\t0\t{pitch}\t{time}")
        bars.append(f'<measure number="{bar + 1}">{inner}</measure>')
        beats += [f"{1 + bar}\t{1 + bar}\tdb{',2/4,0' if bar == 0 else ''}", f"{1.5 + bar}\t{1.5 + bar}\tb"]
    (own / "score.musicxml").write_text(f"<score-partwise><part id='P1'>{''.join(bars)}</part></score-partwise>")
    (own / "A.mid").write_bytes(to_midi(Transcription(tuple(sorted(notes)))))
    (own / "A.annotations.tsv").write_text("\n".join(beats) + "\n")
    heads = "xml_id\tmidi_id\ttrack\tchannel\tpitch\tonset"
    (own / "A.notes.tsv").write_text("\n".join([heads, "x-1\tdeletion", "insertion\tn9\t1\t0\t60\t0.1", *rows]) + "\n")
    (own / "B.notes.tsv").write_text("")  # not aligned
    return folder


def test_what_is_played_exactly_is_written_rightly(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = _tree(tmp_path)
    (piece,) = DATASETS["scores"].pieces(folder)
    assert piece.name == "Composer__Piece/A"
    assert len(read_alignment(piece.labels)) == 48
    assert cli.main(["eval", "--dataset", "scores", "--data", str(folder), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found["means"]["true"]) == set(METRICS)
    assert all(value == 1.0 for value in found["means"]["true"].values()), found["means"]["true"]
    assert found["groups"]["Composer"] == found["means"]


def test_every_figure_counts_what_is_wrong() -> None:
    beats = tuple(0.5 * k for k in range(9))
    notes = tuple(Note(0.5 * k, 72, 0.5 * k + 0.45, 80) for k in range(8))
    told = Transcription(
        notes, beats=beats, downbeats=beats[::2], metres=(Metre(0.0, 4.0, "2/4"),), keys=(Key(0.0, 4.0, "C major"),)
    )
    score = {
        f"n{k}": ScoreNote(f"n{k}", k // 2, F(k % 2), F(1), 72, "C", 1, "1", 0, "2/4") for k in range(8)
    }  # fmt: skip
    aligned = [AlignedNote(f"n{k}", 1, 72, 0.5 * k) for k in range(8)]
    assert score_notation(told, score, aligned)["place"] == 1.0
    score["n1"] = ScoreNote("n1", 0, F(1, 2), F(2), 72, "B#", 2, "5", 2, "3/4")
    wrong = score_notation(told, score, aligned)
    for name in ("place", "length", "hand", "spelling", "signature", "metre"):
        assert wrong[name] == 7 / 8, name
    assert wrong["voice"] < 1.0
    # What wasn't heard is wrong in all.
    assert set(score_notation(told, score, [AlignedNote("n0", 1, 72, 9.0)]).values()) == {0.0}


def test_beats_that_no_grid_takes_are_made_passable() -> None:
    found = passable(Beats((0.0, 0.05, 1.0, 25.0), downbeats=(0.0, 0.05)))
    assert found.beats == (0.0, 1.0, 9.0, 17.0, 25.0)
    assert found.downbeats == (0.0,)
