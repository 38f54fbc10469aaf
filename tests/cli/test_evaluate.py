from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Call, one_line
from tests.conftest import FIVE_NOTES
from tests.test_datasets import make_maestro, make_maps
from transcribe.events import Transcription
from transcribe.formats.midi import to_midi


def test_eval_of_two_files(call: Call, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.mid").write_bytes(to_midi(Transcription(notes=tuple(FIVE_NOTES))))
    code, out, _ = call("eval", "--reference", tmp_path / "a.mid", "--estimate", tmp_path / "b.mid", "--json")
    assert code == 0
    assert json.loads(out)["means"]["note_offset_velocity"]["f1"] == 1.0
    code, out, _ = call("eval", "--reference", tmp_path / "a.mid", "--estimate", tmp_path / "b.mid")
    assert "note + offset + velocity" in out


def test_eval_of_a_tree_in_maestros_and_in_maps_own_layout(call: Call, tmp_path: Path) -> None:
    make_maestro(tmp_path / "maestro")
    make_maps(tmp_path / "maps")
    code, out, err = call("eval", "--dataset", "maestro", "--data", tmp_path / "maestro", "--json", "--sweep")
    assert (code, err) == (0, "")
    report = json.loads(out)
    assert [piece["name"] for piece in report["pieces"]] == ["piece3"]
    assert set(report["sweep"]) == {f"{k / 10}" for k in range(1, 10)}
    code, out, err = call("eval", "--dataset", "maps", "--data", tmp_path / "maps", "--split", "train")
    assert code == 0
    assert "was trained on maps (train)" in err
    assert "exact slices" in out
    code, _, err = call("eval", "--dataset", "maps", "--data", tmp_path / "maps", "--labels", tmp_path)
    assert code == 3
    assert one_line(err)


def test_eval_of_instruments(call: Call, wav: Path, tmp_path: Path) -> None:
    for name in ("piano", "flute"):
        (tmp_path / "clips" / name).mkdir(parents=True)
        (tmp_path / "clips" / name / "a.wav").write_bytes(wav.read_bytes())
    plot = tmp_path / "confusion.png"
    code, out, err = call("eval", "--dataset", "clips", "--data", tmp_path / "clips", "--plot", plot)
    assert (code, err) == (0, "")
    assert "accuracy: 0.5000" in out
    assert plot.read_bytes()[:4] == b"\x89PNG"
    code, out, _ = call("eval", "--dataset", "clips", "--data", tmp_path / "clips", "--json")
    assert json.loads(out)["n_clips"] == 2
    for arguments, expected in ((("nsynth",), 3), (("clips", "--sweep"), 2), (("irmas", "--report", "x.html"), 2)):
        code, out, err = call("eval", "--data", tmp_path, "--dataset", *arguments)
        assert (code, out) == (expected, "")
        assert one_line(err)


def test_eval_of_chords(call: Call, strums: Path, tmp_path: Path) -> None:
    strums.with_suffix(".lab").write_text("0\t2\tC:maj\n2\t4\tA:min\n")
    code, out, err = call("eval", "--dataset", "chords", "--data", tmp_path)
    assert (code, err) == (0, "")
    assert "majmin" in out
    code, out, err = call("eval", "--reference", strums.with_suffix(".lab"), "--estimate", strums.with_suffix(".lab"))
    assert (code, err) == (0, "")
    assert "1.0000" in out
    code, _, err = call("eval", "--dataset", "chords", "--data", tmp_path, "--plot", tmp_path / "x.png")
    assert code == 2
    assert one_line(err)
    (tmp_path / "clips" / "Am").mkdir(parents=True)
    strums.rename(tmp_path / "clips" / "Am" / "1.wav")
    code, out, err = call("eval", "--dataset", "chords", "--data", tmp_path / "clips", "--plot", tmp_path / "x.png")
    assert (code, err) == (0, "")
    assert "accuracy" in out
    assert (tmp_path / "x.png").read_bytes()[:4] == b"\x89PNG"


def test_a_report_on_a_data_set(call: Call, tmp_path: Path) -> None:
    root = make_maestro(tmp_path)
    page = tmp_path / "report.html"
    code, out, err = call("eval", "--dataset", "maestro", "--data", root, "--split", "all", "--report", page, "--json")
    assert code == 0, err
    scores = sorted(json.loads(out)["pieces"], key=lambda piece: piece["scores"]["note"]["f1"])
    text = page.read_text()
    places = [text.index(f"<strong>{piece['name']}</strong>") for piece in scores]
    assert places == sorted(places)
    assert len(set(places)) == len(scores) > 1
    code, _, err = call("eval", "--dataset", "maestro", "--data", root, "--report", page)
    assert code == 5
    assert one_line(err)
    code, _, err = call("eval", "--dataset", "maestro", "--data", root, "--report", tmp_path / "report.pdf")
    assert code == 2
    assert one_line(err)
    for name, notes in (("a", FIVE_NOTES), ("b", FIVE_NOTES[:4])):
        (tmp_path / f"{name}.mid").write_bytes(to_midi(Transcription(notes=tuple(sorted(notes)))))
    two = ("--reference", tmp_path / "a.mid", "--estimate", tmp_path / "b.mid")
    assert call("eval", *two, "--report", tmp_path / "two.html")[0] == 0
    assert "estimate" in (tmp_path / "two.html").read_text()


def test_eval_leaves_out_what_is_broken_and_says_so_with_its_exit_code(call: Call, tmp_path: Path) -> None:
    make_maestro(tmp_path / "maestro")
    data = ("--dataset", "maestro", "--data", tmp_path / "maestro", "--split", "train")
    table = tmp_path / "pieces.csv"
    code, out, err = call("eval", *data, "--csv", table, "--reliability", "--onset-tolerance", "0.1", "--json")
    assert (code, err) == (0, "")
    whole = json.loads(out)
    assert {float(within) for within in whole["reliability"]} <= {0.05, 0.1}
    assert [line.split(",")[0] for line in table.read_text().splitlines()] == ["name", "piece0", "piece1"]
    (tmp_path / "whole.json").write_text(out)
    (audio,) = (tmp_path / "maestro").rglob("piece0.wav")
    audio.write_bytes(b"no sound")
    code, out, err = call("eval", *data, "--against", tmp_path / "whole.json", "--json", "--onset-tolerance", "0.1")
    assert code == 3
    assert err.startswith("pitchai: left out: ")
    assert "piece0" in err
    report = json.loads(out)
    assert [piece["name"] for piece in report["pieces"]] == ["piece1"]
    assert report["against"]["note"]["mean"] == 0.0
    code, out, err = call("eval", *data, "--without", "piece0", "--json")
    assert (code, err) == (0, "")
    assert [piece["name"] for piece in json.loads(out)["pieces"]] == ["piece1"]
    for wrong in (("--without", "piece"), ("--against", audio), ("--csv", table)):
        code, _, err = call("eval", *data, *wrong)
        assert code in (2, 3, 5)
        assert one_line(err)
