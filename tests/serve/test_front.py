"""The page that the server shows, driven in a browser: in, look, listen, correct, out."""

from __future__ import annotations

import base64
import json
import re
import select
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.browser import LOOKS, check_everybody_can_use, chromium, opened, until
from tests.conftest import ROOT

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytestmark = pytest.mark.slow

PITCHAI = (sys.executable, "-m", "transcribe")
WALTZ = ROOT / "examples" / "waltz.flac"
# Exports that are the command's bytes when nothing was edited.
FORMATS = {
    "midi": ".mid",
    "json": ".json",
    "csv": ".csv",
    "musicxml": ".musicxml",
    "score": ".score.svg",
    "html": ".html",
}
SAVED = "!page.editing.saving && !page.editing.waiting && find('saved').dataset.state === 'saved'"
DROP = """([name, base64]) => {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0)), transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name));
  document.body.dispatchEvent(new DragEvent("dragenter", { dataTransfer: transfer, bubbles: true, cancelable: true }));
  document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
}"""


@dataclass
class Server:
    """A server that runs, and the result that was made through its page."""

    address: str
    folder: Path
    waltz: str = ""

    @property
    def song(self) -> str:
        return f"{self.address}#{self.waltz}"

    def forget_edits(self) -> None:
        """Make the waltz what was heard."""
        request = urllib.request.Request(
            f"{self.address}api/files/{self.waltz}/edits",
            json.dumps({"edits": []}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as answer:
            assert answer.status == 200

    def edits(self, name: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads((self.folder / name / "result.json").read_bytes()).get("edits", [])
        return found


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def server(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server in a process of its own, to whose page the waltz was dropped."""
    folder = tmp_path_factory.mktemp("results")
    command = [
        sys.executable,
        "-m",
        "transcribe",
        "serve",
        str(folder),
        "--port",
        "0",
        "--no-browser",
        "--threads",
        "1",
    ]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as run:
        try:
            assert run.stdout is not None
            ready, _, _ = select.select([run.stdout], [], [], 120)
            line = run.stdout.readline().decode() if ready else ""
            assert line.startswith("http"), f"the server doesn't start: {line}"
            found = Server(line.split()[0], folder)
            window = opened(browser, found.address)
            until(window, f"find('folder').textContent === {json.dumps(str(folder))}")
            window.evaluate(DROP, [WALTZ.name, base64.b64encode(WALTZ.read_bytes()).decode()])
            until(window, "document.querySelectorAll('#results li').length === 1")
            until(window, "location.hash.length > 1 && page.song && page.song.notes.length > 40", seconds=180)
            found.waltz = window.evaluate("location.hash.slice(1)")
            assert window.said == []
            window.context.close()
            yield found
        finally:  # or it would be waited for without end
            run.terminate()


@pytest.fixture
def window(browser: Any, server: Server) -> Iterator[Any]:
    """The waltz as it was heard, in a window."""
    server.forget_edits()
    page = opened(browser, server.song)
    until(page, "page.song && /there|none/.test(find('score').dataset.state)")
    assert page.get_attribute("#score", "data-state") == "there", page.inner_text("#score")
    yield page
    assert page.said == []
    page.context.close()


def save(window: Any) -> None:
    until(window, SAVED)


def middle(window: Any, note: str) -> tuple[float, float]:
    """Where a note, a script's expression, is drawn in the roll."""
    window.evaluate("document.querySelector('#roll').scrollIntoView({block: 'center'})")
    x, y = window.evaluate(
        f"(() => {{ const n = {note}, r = page.roll, box = r.canvas.getBoundingClientRect();"
        " return [box.left + r.x((n.onset + n.offset) / 2), box.top + r.y(n.pitch) + r.rowHeight / 2]; })()"
    )
    return x, y


def until_gone(folder: Path) -> None:
    for _ in range(200):
        if not folder.exists():
            return
        time.sleep(0.05)
    raise AssertionError(f"{folder} is still there")


def download(window: Any, name: str) -> bytes:
    window.evaluate("find('out').open = true")
    with window.expect_download() as waiting:
        window.click(f"[data-format={name}]")
    return Path(waiting.value.path()).read_bytes()


def test_what_is_exported_is_what_the_command_writes(window: Any, tmp_path: Path) -> None:
    outputs = {name: tmp_path / f"waltz{suffix}" for name, suffix in FORMATS.items()}
    command = [*PITCHAI, str(WALTZ), "--quiet", "--threads", "1"]
    subprocess.run([*command, *(part for path in outputs.values() for part in ("-o", str(path)))], cwd=ROOT, check=True)
    for name, path in outputs.items():
        assert download(window, name) == path.read_bytes(), name


def test_it_is_heard_at_once_and_followed(window: Any) -> None:
    began = time.monotonic()
    window.keyboard.press(" ")
    until(window, "page.player.recording.currentTime > 0")
    assert time.monotonic() - began < 2
    until(window, "page.player.position > 1.9 && page.score.current?.number === 2", seconds=30)
    until(window, "document.querySelectorAll('.sounding').length > 0")
    window.keyboard.press(" ")
    until(window, "!page.player.playing")
    assert re.fullmatch(r"Bar [2-5], beat [1-3]", window.inner_text("#place"))


def test_space_plays_wherever_the_focus_is(window: Any) -> None:
    for place in ("#theme", "#roll", "#speed", "#colours", "#note-next", "#loop-from", "input[name=view]:checked"):
        window.focus(place)
        window.keyboard.press(" ")
        until(window, "page.player.playing")
        window.keyboard.press(" ")
        until(window, "!page.player.playing")
    window.evaluate("find('panel-chords').open = true")
    window.focus("#chord-label")
    window.keyboard.press(" ")
    assert not window.evaluate("page.player.playing")


def test_notes_are_corrected_with_the_mouse(window: Any, server: Server) -> None:
    note = "page.song.byKey(window.key)"
    window.evaluate("window.key = key(page.song.notes[10])")
    before = window.evaluate(note)
    x, y = middle(window, note)
    window.mouse.click(x, y)
    assert window.evaluate("page.hands.note.id") == before["id"]
    assert window.inner_text("#note-name").startswith(window.evaluate(f"pitchName({before['pitch']})"))
    # Moved by two rows and half a second.
    rows, seconds = window.evaluate("[page.roll.rowHeight, page.roll.scale]")
    window.mouse.move(x, y)
    window.mouse.down()
    window.mouse.move(x + seconds / 4, y - rows)
    window.mouse.move(x + seconds / 2, y - 2 * rows)
    window.mouse.up()
    save(window)
    moved = window.evaluate("page.hands.note")
    assert moved["pitch"] == before["pitch"] + 2
    assert moved["onset"] == pytest.approx(before["onset"] + 0.5, abs=0.03)
    # Lengthened by its end.
    x, y = middle(window, "page.hands.note")
    end = window.evaluate("page.roll.canvas.getBoundingClientRect().left + page.roll.x(page.hands.note.offset)")
    window.mouse.move(end - 3, y)
    window.mouse.down()
    window.mouse.move(end + seconds / 4, y)
    window.mouse.move(end + seconds / 2, y)
    window.mouse.up()
    save(window)
    longer = window.evaluate("page.hands.note")
    assert longer["offset"] == pytest.approx(moved["offset"] + 0.5, abs=0.05)
    # Added by a double click, deleted by a key.
    n, pitch = window.evaluate("[page.song.notes.length, page.roll.high - 1]")
    box = window.locator("#roll").bounding_box()
    top = window.evaluate("page.roll.canvas.getBoundingClientRect().top + page.roll.y(page.roll.high - 1) + 2")
    window.mouse.dblclick(box["x"] + window.evaluate("page.roll.x(page.roll.start + 0.2)"), top)
    save(window)
    assert window.evaluate("page.song.notes.length") == n + 1
    assert window.evaluate("page.hands.note.pitch") == pitch
    window.keyboard.press("Delete")
    save(window)
    assert window.evaluate("page.song.notes.length") == n
    assert [edit["op"] for edit in server.edits(server.waltz)] == ["change", "change", "add", "delete"]


def test_notes_are_corrected_with_the_keys_undone_and_kept(window: Any, server: Server) -> None:
    window.keyboard.press("Home")
    window.keyboard.press("j")
    first = window.evaluate("({...page.hands.note})")
    for pressed in ("ArrowUp", "Shift+ArrowDown", ".", ">", "h"):
        window.keyboard.press(pressed)
    save(window)
    changed = window.evaluate("({...page.hands.note})")
    assert changed["pitch"] == first["pitch"] + 1 - 12
    assert changed["onset"] == pytest.approx(first["onset"] + 0.01, abs=2e-4)
    assert changed["offset"] == pytest.approx(first["offset"] + 0.06, abs=2e-4)
    assert changed["hand"] != first["hand"]
    window.reload()
    until(window, "page.song")
    assert window.evaluate(f"Boolean(page.song.byKey({json.dumps({k: changed[k] for k in ('pitch', 'onset')})}))")
    for _ in range(5):
        window.keyboard.press("Control+z")
    save(window)
    assert window.evaluate(f"Boolean(page.song.byKey({json.dumps({k: first[k] for k in ('pitch', 'onset')})}))")
    assert server.edits(server.waltz) == []
    window.reload()  # which forgets nothing
    until(window, "page.song && !find('redo').disabled")
    for _ in range(5):
        window.keyboard.press("Control+y")
    save(window)
    assert len(server.edits(server.waltz)) == 5
    assert window.is_disabled("#redo")
    window.click("#undo")
    save(window)
    assert len(server.edits(server.waltz)) == 4


def test_what_is_worth_a_look_is_settled_by_one_key(window: Any, server: Server) -> None:
    n, notes = window.evaluate("[page.doubts.items.length, page.song.notes.length]")
    if n < 1:
        pytest.skip("nothing is in doubt")
    window.keyboard.press("d")
    doubt = window.evaluate("page.doubts.items[0]")
    assert window.evaluate("page.hands.note?.id") == doubt["note"] or doubt["kind"] == "missing"
    assert window.locator("#doubts [aria-current]").count() == 1
    window.keyboard.press("x")
    save(window)
    assert window.evaluate("page.doubts.items.length") <= n
    rejected = 0 if doubt["kind"] == "missing" else 1
    assert window.evaluate("page.song.notes.length") == notes - rejected
    window.keyboard.press("Control+z")
    save(window)
    window.reload()
    until(window, "page.song")
    window.keyboard.press("d")
    window.keyboard.press("a")
    save(window)
    assert [edit["op"] for edit in server.edits(server.waltz)] == [
        "add" if window.evaluate(f"{json.dumps(doubt['kind'])} === 'missing'") else "accept"
    ]


def test_taps_make_the_bars(window: Any, server: Server) -> None:
    window.evaluate("find('panel-beats').open = true")
    window.evaluate("page.player.seek(0.3)")
    window.keyboard.press(" ")
    until(window, "page.player.recording.currentTime > 0.35")
    for tap in range(6):
        window.keyboard.press("Shift+T" if tap == 1 else "t")
        window.wait_for_timeout(450)
    window.keyboard.press(" ")
    assert window.inner_text("#taps-count") == "6 taps"
    taps = window.evaluate("page.beats.taps")
    window.click("#taps-use")
    save(window)
    edit = server.edits(server.waltz)[0]
    assert edit["op"] == "beats"
    assert edit["beats"] == taps
    assert edit["downbeats"] == [taps[1]]
    beats = window.evaluate("page.song.beats")
    assert all(min(abs(beat - tap) for beat in beats) < 0.1 for tap in taps[1:])
    assert window.evaluate(f"Math.min(...page.song.downbeats.map((beat) => Math.abs(beat - {taps[1]})))") < 0.1


def test_tempo_bars_metre_and_key(window: Any, server: Server) -> None:
    window.evaluate("find('panel-beats').open = true")
    until(window, "page.song.beats.length > 10")
    beats, downbeats = window.evaluate("[page.song.beats, page.song.downbeats]")
    score = window.evaluate("document.querySelector('.page img').src")
    window.click("#tempo-double")
    save(window)
    assert window.evaluate("page.song.beats.length") == pytest.approx(2 * len(beats), abs=2)
    window.click("#tempo-half")
    save(window)
    window.click("#shift-on")
    save(window)
    assert window.evaluate("page.song.downbeats[1]") == pytest.approx(beats[beats.index(downbeats[1]) + 1], abs=0.02)
    window.evaluate(f"page.player.seek({downbeats[1]})")
    window.click("#bar-here")
    save(window)
    assert window.evaluate(f"page.song.isDownbeat({downbeats[1]})")
    window.select_option("#metre", "4/4")
    save(window)
    assert window.evaluate("page.song.bars.find((bar) => bar.number === 2).metre") == "4/4"
    window.select_option("#key", "E minor")
    save(window)
    assert window.evaluate("page.song.key") == "E minor"
    window.fill("#pickup", "2")
    window.keyboard.press("Tab")
    save(window)
    assert [edit["op"] for edit in server.edits(server.waltz)] == [
        "tempo", "tempo", "shift", "beats", "metre", "key", "pickup",
    ]  # fmt: skip
    # The score is engraved anew, the MIDI written with it.
    picture = "(document.querySelector('.page img')?.src ?? '')"
    until(window, f"{picture} !== '' && {picture} !== '{score}'")
    assert b"<fifths>1</fifths>" in download(window, "musicxml")
    assert b"<beats>4</beats>" in download(window, "musicxml")


def test_spelling_hand_and_chords_reach_the_score(window: Any, server: Server) -> None:
    window.evaluate("page.hands.choose(page.song.notes.find((note) => note.pitch % 12 === 5))")
    window.select_option("#note-spelling", "E#")
    save(window)
    window.select_option("#note-hand", "left")
    save(window)
    window.evaluate("find('panel-chords').open = true, page.player.seek(page.song.chords[1].onset + 0.1)")
    window.fill("#chord-label", "D:min7")
    window.keyboard.press("Enter")
    save(window)
    assert window.evaluate("page.song.chords[1].name") == "Dm7"
    music = download(window, "musicxml").decode()
    assert re.search(r"<step>E</step>\s*<alter>1</alter>", music)
    assert re.search(r"<root-step>D</root-step>", music)
    # What is no chord is refused in words, and nothing changes.
    window.fill("#chord-label", "H:dur")
    window.keyboard.press("Enter")
    until(window, "find('said').textContent.includes('H:dur')")
    assert window.locator("#said").is_visible()
    until(window, "!page.editing.saving && page.song.chords[1].label === 'D:min7'")
    assert [edit["op"] for edit in server.edits(server.waltz)] == ["change", "change", "chord"]
    window.said.clear()  # Chromium's own word on the refusal


def test_two_windows_do_not_mix(browser: Any, window: Any, server: Server) -> None:
    other = opened(browser, server.song)
    until(other, "page.song")
    window.evaluate("page.hands.choose(page.song.notes[0]), page.hands.raise(1)")
    save(window)
    other.evaluate("page.hands.choose(page.song.notes[5]), page.hands.raise(1)")
    # The first one's edit stays, and the other shows it now.
    raised = window.evaluate("page.song.notes[0].pitch")
    until(other, f"!page.editing.saving && page.song.notes[0].pitch === {raised}")
    assert other.evaluate("page.editing.edits.length") == len(server.edits(server.waltz)) == 1
    other.context.close()


def test_what_the_server_was_not_told_is_sent_again(window: Any, server: Server) -> None:
    window.route("**/edits", lambda route: route.abort(), times=1)
    window.evaluate("page.hands.choose(page.song.notes[0]), page.hands.raise(1)")
    until(window, "/^Not saved/.test(find('saved').textContent)")
    assert server.edits(server.waltz) == []
    until(window, SAVED)
    assert [edit["op"] for edit in server.edits(server.waltz)] == ["change"]
    window.said.clear()  # Chromium's own word on the failure


def test_one_song_after_the_other(browser: Any, server: Server, tmp_path: Path) -> None:
    """What a song left on the page hears nothing of the next one."""
    server.forget_edits()
    window = opened(browser, server.song)
    until(window, "page.song && page.hands")
    window.click("#home")
    until(window, "!find('files').hidden")
    window.click("#results a")
    until(window, "page.song && page.hands")
    window.evaluate("find('panel-beats').open = true, page.hands.choose(page.song.notes[0])")
    window.click("#shift-on")
    save(window)
    window.fill("#note-velocity", "33")
    window.keyboard.press("Tab")
    save(window)
    assert [edit["op"] for edit in server.edits(server.waltz)] == ["shift", "change"]
    x, y = middle(window, "page.song.notes[20]")
    window.mouse.click(x, y)
    assert window.evaluate("page.hands.note.id") == window.evaluate("page.song.notes[20].id")
    assert window.said == []
    window.context.close()


def test_what_is_saved_late_does_not_come_back(window: Any, server: Server) -> None:
    held: list[Any] = []
    window.route("**/edits", lambda route: held.append(route))  # the server takes its time
    window.evaluate("page.hands.choose(page.song.notes[0]), page.hands.raise(1)")
    window.click("#home")
    until(window, "!find('files').hidden")
    for route in held:
        route.continue_()
    window.wait_for_timeout(500)
    assert len(held) == len(server.edits(server.waltz)) == 1
    assert window.inner_text("#title") == "Recordings"
    assert window.evaluate("page.song") is None


def test_sound_comes_before_the_notes(browser: Any, server: Server) -> None:
    window = opened(browser, server.address)
    until(window, "document.querySelectorAll('#results a').length >= 1")
    held: list[Any] = []
    window.route(f"**/api/files/{server.waltz}", lambda route: held.append(route))  # the view takes its time
    window.click("#results a")
    window.keyboard.press(" ")
    until(window, "page.player?.recording.currentTime > 0.2")
    assert window.evaluate("page.song.notes.length") == 0
    for route in held:
        route.continue_()
    until(window, "page.song.notes.length > 40")
    assert window.evaluate("page.player.playing && page.player.recording.currentTime > 0.2")
    assert window.inner_text("#play") == "Pause"
    until(window, "/^Bar [0-9]/.test(find('place').textContent)")
    assert window.said == []
    window.context.close()


def test_files_are_chosen_queued_recorded_and_removed(browser: Any, server: Server, tmp_path: Path) -> None:
    window = opened(browser, server.address, permissions=["microphone"])
    until(window, "document.querySelectorAll('#results li').length === 1")
    scale = tmp_path / "bad name <b>.mid"
    scale.write_bytes((ROOT / "examples" / "waltz.mid").read_bytes())
    noise = tmp_path / "noise.wav"
    noise.write_bytes(b"no sound at all")
    window.set_input_files("#file", [scale, noise])
    until(window, "location.hash.length > 1 && page.song?.title === 'bad name <b>'", seconds=60)
    assert window.evaluate("page.player.recording") is None
    window.keyboard.press(" ")
    until(window, "page.player.sampler.voices.size > 0 && page.player.position > 0.2")
    window.click("#home")
    until(window, "document.querySelector('#results .failed .status')?.textContent.includes('failed')", seconds=60)
    assert window.evaluate("page.player") is None
    window.click("#record")
    until(window, "/0:02/.test(find('record').textContent)")
    window.click("#record")
    until(window, "document.querySelectorAll('#results li').length === 4")
    until(window, "location.hash.length > 1 && /^Recording/.test(page.song?.title)", seconds=120)
    window.click("#home")
    until(window, "!find('files').hidden && document.querySelectorAll('#results li').length === 4")
    for left in (3, 2, 1):
        button = window.locator(f"#results li:not([data-id='{server.waltz}']) button").first
        button.click()
        assert "Really" in button.inner_text()
        button.click()
        until(window, f"document.querySelectorAll('#results li').length === {left}")
    assert [path.name for path in server.folder.iterdir() if path.is_dir()] == [server.waltz]
    assert [text for text in window.said if "Failed to load" not in text] == []
    window.context.close()


@pytest.mark.parametrize("kind", ["webm", "ogg"])
def test_what_microphones_of_browsers_write_is_heard_and_played(
    browser: Any, server: Server, tmp_path: Path, kind: str
) -> None:
    """Opus in WebM, as Chromium writes it, and in Ogg, as Firefox does."""
    av = pytest.importorskip("av")
    recording = tmp_path / f"microphone.{kind}"
    with av.open(WALTZ) as given, av.open(recording, "w") as file:
        stream = file.add_stream("libopus", rate=48_000, layout="mono")
        resampler = av.AudioResampler(format="flt", layout="mono", rate=48_000, frame_size=960)
        for frame in given.decode(audio=0):
            if frame.time < 5:
                for part in resampler.resample(frame):
                    file.mux(stream.encode(part))
        file.mux(stream.encode(None))
    window = opened(browser, server.address)
    window.set_input_files("#file", recording)
    until(window, "location.hash.length > 1 && page.song?.title === 'microphone' && page.hands", seconds=120)
    assert window.evaluate("page.song.notes.length") > 15
    assert window.evaluate("page.song.duration") == pytest.approx(5, abs=0.3)
    window.keyboard.press(" ")
    until(window, "page.player.recording.currentTime > 0.3")
    window.evaluate("page.player.seek(3)")
    until(window, "page.player.recording.currentTime > 3.2 && page.player.recording.currentTime < 5")
    assert window.said == []
    name = window.evaluate("location.hash.slice(1)")
    window.evaluate(f"api.ask('/api/files/{name}', {{ method: 'DELETE' }})")
    window.context.close()
    until_gone(server.folder / name)


def test_a_link_to_what_is_still_listened_to_opens_when_it_is_done(browser: Any, server: Server) -> None:
    window = opened(browser, server.address)
    until(window, "document.querySelectorAll('#results a').length >= 1")
    early = json.dumps({"error": "it isn't transcribed yet"})
    address = f"**/api/files/{server.waltz}"
    window.route(address, lambda route: route.fulfill(status=409, body=early), times=1)
    window.evaluate(f"location.hash = '{server.waltz}'")
    until(window, "page.song?.notes.length > 40 && page.hands")
    assert window.inner_text("#said") == ""
    window.context.close()


@pytest.mark.parametrize("look", LOOKS)
def test_everybody_can_use_it(browser: Any, server: Server, look: str) -> None:
    window = opened(browser, server.address, look)
    until(window, "document.querySelectorAll('#results li').length >= 1")
    check_everybody_can_use(window)
    window.goto(server.song)
    until(window, "page.song && document.querySelector('.page img')?.naturalWidth > 0")
    window.evaluate("page.hands.step(1)")
    check_everybody_can_use(window)
    window.evaluate("for (const details of document.querySelectorAll('details:not(.menu)')) details.open = true")
    check_everybody_can_use(window)
    for menu in ("out", "help"):
        window.evaluate(f"find('{menu}').open = true")
        check_everybody_can_use(window)
        window.evaluate(f"find('{menu}').open = false")
    assert window.said == []
    window.context.close()


def test_everything_is_reached_with_the_tab_key(window: Any) -> None:
    """No control is left out, and the focus is never caught."""
    window.evaluate("page.hands.step(1)")
    window.evaluate("for (const details of document.querySelectorAll('details')) details.open = true")
    wanted = set(
        window.evaluate(
            "[...document.querySelectorAll('main button, main select, main input, header button')]"
            ".filter((e) => e.id && !e.matches(':disabled') && e.offsetParent && e.type !== 'radio').map((e) => e.id)"
        )
    )
    assert len(wanted) > 30
    window.evaluate("document.activeElement.blur()")
    seen = set()
    for _ in range(150):
        window.keyboard.press("Tab")
        seen.add(window.evaluate("document.activeElement.id"))
    assert wanted <= seen
