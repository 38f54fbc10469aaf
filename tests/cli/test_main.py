from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import PITCHAI, Call, one_line
from tests.conftest import EXAMPLE, FIVE_NOTES
from transcribe import __version__
from transcribe.cli.main import COMMANDS
from transcribe.events import Transcription
from transcribe.formats.table import FORMATS


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["nowhere.wav"], 3, "no such file"),
        ([""], 3, "empty"),
        (["SONG", "-o", "nowhere/x.mid"], 5, "not there"),
        (["SONG", "-o", "x.xyz"], 2, "unknown format"),
        (["SONG", "--format", "tex"], 2, "unknown format"),
        (["SONG", "--colour"], 2, "--colour"),
        (["SONG", "--onset-threshold", "2"], 2, "onset-threshold"),
        (["SONG", "--onset-threshold", "nan"], 2, "threshold"),
        (["SONG", "--min-note-length", "nan"], 2, "min-note-length"),
        (["SONG", "--min-pitch", "90", "--max-pitch", "30"], 2, "min_pitch"),
        (["SONG", "--min-note-length", "inf"], 2, "min_note_length"),
        (["SONG", "--device", "quantum"], 2, "quantum"),
        (["SONG", "--device", "meta"], 2, "meta"),
        (["SONG", "-o", ""], 2, "-o"),
        (["x" * 300 + ".wav"], 3, "no such file"),
        (["SONG", "-o", "x" * 300 + ".mid"], 5, "can't be"),
        (["SONG", "--model", "nothing"], 2, "nothing"),
        (["SONG", "--model", "no.safetensors"], 4, "no.safetensors"),
        (["SONG", "--overwrite", "--skip-existing"], 2, "exclude"),
        (["SONG", "--json", "-o", "-"], 2, "stdout"),
        (["-"], 2, "-o"),
        (["eval"], 2, "--dataset"),
        (["eval", "--dataset", "nothing"], 2, "choose one"),
        (["eval", "--dataset", "maestro"], 2, "PITCHAI_DATA"),
        (["eval", "--reference", "a.mid"], 2, "belong together"),
        (["eval", "--reference", "a.mid", "--estimate", "b.mid"], 3, "a.mid"),
        (["doctor", "--wings"], 2, "--wings"),
    ],
)
def test_mistakes_give_one_line_and_their_code(
    call: Call, wav: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, words: str
) -> None:
    monkeypatch.chdir(wav.parent)
    monkeypatch.delenv("PITCHAI_DATA", raising=False)
    found, out, err = call(*[str(wav) if a == "SONG" else a for a in arguments])
    assert (found, out) == (code, "")
    assert one_line(err)
    assert words in err
    assert [p.name for p in wav.parent.iterdir()] == ["song.wav"]


def test_version_and_help(call: Call) -> None:
    assert call("--version") == (0, f"pitchai {__version__}\n", "")
    for arguments in ([], ["--help"], ["eval", "--help"], ["doctor", "--help"]):
        code, out, _ = call(*arguments)
        assert code == 0
        assert "Usage: pitchai" in out


def test_each_mistake_names_the_help_of_its_command(call: Call, wav: Path) -> None:
    assert "see pitchai chords --help" in call("chords", wav, "--colour")[2]
    assert "see pitchai --help" in call(wav, "--colour")[2]
    assert "--start" in call(wav, "--staart", "1")[2]
    for words in (("help",), ("help", "chords"), ("chords", "-h")):
        code, out, err = call(*words)
        assert (code, err) == (0, "")
        assert ("pitchai chords RECORDING…" in out) == (len(words) == 2)
    code, _, err = call("transcribe", wav) if not Path("transcribe").exists() else (2, "", "no command is needed")
    assert (code, "no command is needed" in err) == (2, True)


def test_the_help_lists_every_command_and_shows_no_types(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    out = call("--help")[1]
    for name in COMMANDS:
        assert f"pitchai {name} " in out
        assert not re.search(r"<\w+>|\{.*\}|\.\.\.", call(name, "--help")[1])
    assert not re.search(r"<\w+>|\{.*\}|\.\.\.", out)
    panels = re.findall(r"^╭─ ([^─]+) ─", out, re.MULTILINE)
    assert panels[:4] == ["What is given", "Commands", "Recordings and results", "Many recordings"]


@pytest.mark.parametrize(
    ("line", "found"),
    [("pitchai cho", "chords"), ("pitchai chords --vo", "--vocabulary"), ("pitchai a.wav --sp", "--spectrogram")],
)
def test_shells_are_told_how_a_line_goes_on(line: str, found: str) -> None:
    asked = {"_PITCHAI_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(line.split()) - 1)}
    done = subprocess.run(PITCHAI, env={**os.environ, **asked}, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [found]


def test_the_script_for_a_shell_is_shown() -> None:
    named = {**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}  # else it is the shell that runs this
    done = subprocess.run(
        [*PITCHAI, "--show-completion", "bash"], env=named, capture_output=True, text=True, check=True
    )
    assert "_PITCHAI_COMPLETE" in done.stdout


def test_help_needs_no_torch() -> None:
    code = (
        "import sys; from transcribe.cli.main import main; main(['--help']); "
        "assert not {'torch', 'numpy', 'pretty_midi'} & set(sys.modules), 'heavy imports'"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_a_cpu_needs_no_torch(tmp_path: Path) -> None:
    code = (
        f"import sys; from transcribe.cli.main import main; assert main([{str(EXAMPLE)!r}, '--device', 'cpu', "
        f"'-o', {str(tmp_path / 'waltz.mid')!r}]) == 0; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_a_mistyped_command_writes_nothing(call: Call, wav: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(wav.parent)
    before = wav.read_bytes()
    for words in (("chrods", wav.name, "--overwrite"), ("instrument", wav.name), ("sho", wav.name)):
        code, out, err = call(*words)
        assert (code, out) == (2, "")
        assert one_line(err)
        assert f"did you mean {'chords' if words[0] == 'chrods' else words[0]}" in err
    assert [(p.name, p.read_bytes()) for p in wav.parent.iterdir()] == [(wav.name, before)]


@pytest.mark.skipif(os.name == "nt", reason="POSIX folders")
def test_a_working_folder_that_is_gone(call: Call, wav: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    result = tmp_path / "five.json"
    result.write_bytes(FORMATS["json"].write(Transcription(notes=tuple(sorted(FIVE_NOTES)))))
    for words in ((wav, "-o", "x.mid"), ("song.wav",), ("convert", result, "x.mid")):
        code, out, err = call(*words)
        assert (code, out) == (5, "")
        assert one_line(err)
        assert "working folder" in err
    assert call("convert", result, tmp_path / "x.mid")[0] == 0


@pytest.mark.parametrize("word", ["a\0.wav", "--manifest=\0", "\ud800.wav"])
def test_words_that_no_system_passes_on(call: Call, word: str) -> None:
    code, out, err = call("song.wav", word)
    assert (code, out) == (2, "")
    assert one_line(err)
