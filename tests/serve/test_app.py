from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.serve.stand_in import HEARD, opened
from transcribe.events import Chord
from transcribe.formats.format import Page, Rendering
from transcribe.formats.json import from_json
from transcribe.formats.table import FORMATS

pytest.importorskip("starlette")
pytest.importorskip("httpx")
from starlette.testclient import TestClient

from transcribe.serve.app import Limits, make_app
from transcribe.serve.guard import Access
from transcribe.serve.library import DONE, Entry, Library, clean_name

HERE = "http://127.0.0.1:8732"
LIMITS = Limits(upload=100_000, body=10_000)
DELETE = {"op": "delete", "note": {"pitch": 60, "onset": 0.5}}


def kept(library: Library, name: str = "song.wav", recording: bytes = b"RIFF1234") -> Entry:
    upload = library.begin(name)
    upload.write(recording)
    entry = upload.finish()
    entry.keep(replace(HEARD, chords=(Chord(0.5, 3.0, "C:maj"),)))
    entry.mark(DONE, duration=3.0)
    return entry


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path / "results")


@pytest.fixture
def client(library: Library) -> Iterator[TestClient]:
    with TestClient(make_app(library, opened, Access("127.0.0.1", 8732), LIMITS), base_url=HERE) as client:
        yield client


def waited(client: TestClient, name: str) -> dict[str, Any]:
    for _ in range(600):
        status: dict[str, Any] = client.get(f"/api/files/{name}/status").json()
        if status["status"] in ("done", "failed"):
            return status
        time.sleep(0.1)
    raise AssertionError("it never ends")


def test_a_file_that_is_given_again_is_the_same_result(library: Library, tmp_path: Path) -> None:
    """What was corrected is there after `pitchai serve song.wav` is started anew."""
    entry, song = kept(library), tmp_path / "song.wav"
    song.write_bytes(b"RIFF1234")
    assert Library(library.folder).same(song).id == entry.id  # type: ignore[union-attr]
    entry.mark("failed")
    assert library.same(song) is None  # it is tried again
    entry.mark(DONE)
    song.write_bytes(b"RIFF5678")
    assert library.same(song) is None
    assert library.same(song.rename(tmp_path / "other.wav")) is None


@pytest.mark.slow
def test_a_recording_is_listened_to_and_a_bad_one_takes_nothing_with_it(client: TestClient, library: Library) -> None:
    names = [
        client.post(f"/api/files?name={name}.wav", content=content).json()["id"]
        for name, content in (("dies", b"die"), ("fails", b"fail"), ("sings", b"sing"))
    ]
    ends = [waited(client, name) for name in names]
    assert [end["status"] for end in ends] == ["failed", "failed", "done"]
    assert "process that listened ended" in ends[0]["message"]
    assert "fails.wav is odd" in ends[1]["message"]
    assert ends[2]["progress"] == 1
    view = client.get(f"/api/files/{names[2]}").json()
    assert view["title"] == "sings"
    assert [note["id"] for note in view["transcription"]["notes"]] == [0, 1, 2, 3, 4]
    assert len(view["hands"]) == 5
    assert client.get(f"/api/files/{names[0]}").status_code == 409
    listed = client.get("/api/results").json()
    assert {row["id"]: row["status"] for row in listed} == dict(zip(names, ("failed", "failed", "done"), strict=True))
    assert not list(library.folder.rglob("*.part"))


@pytest.mark.slow
def test_a_result_that_is_given_is_read_with_its_edits(client: TestClient) -> None:
    from transcribe.formats.json import to_json

    content = to_json(replace(HEARD, edits=(DELETE,)))
    name = client.post("/api/files?name=song.json", content=content).json()["id"]
    assert waited(client, name)["status"] == "done"
    view = client.get(f"/api/files/{name}").json()
    assert view["edits"] == [DELETE]
    assert len(view["transcription"]["notes"]) == 4
    assert not view["has_sound"]
    assert client.get(f"/api/files/{name}/sound").status_code == 404


def test_edits_are_done_and_kept(client: TestClient, library: Library) -> None:
    entry = kept(library)
    address = f"/api/files/{entry.id}"
    view = client.get(address).json()
    answer = client.post(f"{address}/edits", json={"edits": [DELETE], "undone": [], "version": view["version"]})
    assert answer.status_code == 200
    assert len(answer.json()["transcription"]["notes"]) == 4
    stored = from_json((entry.folder / "result.json").read_bytes())
    assert len(stored.notes) == 5  # as heard
    assert stored.edits == (DELETE,)
    undone = client.post(f"{address}/edits", json={"edits": [], "undone": [DELETE]}).json()
    assert undone["undone"] == [DELETE]
    assert undone["transcription"] == view["transcription"]
    # Another server finds all of it.
    again = TestClient(make_app(Library(library.folder), opened, Access("127.0.0.1", 8732)), base_url=HERE)
    assert again.get(address).json()["undone"] == [DELETE]


def test_two_browsers_do_not_mix(client: TestClient, library: Library) -> None:
    one, other = kept(library, "one.wav"), kept(library, "other.wav")
    version = client.get(f"/api/files/{one.id}").json()["version"]
    first = client.post(f"/api/files/{one.id}/edits", json={"edits": [DELETE], "version": version})
    second = client.post(f"/api/files/{one.id}/edits", json={"edits": [], "version": version})
    assert (first.status_code, second.status_code) == (200, 409)
    assert client.get(f"/api/files/{one.id}").json()["edits"] == [DELETE]
    assert client.get(f"/api/files/{other.id}").json()["edits"] == []


def test_edits_go_on_after_the_server_was_started_anew(client: TestClient, library: Library) -> None:
    """A page that was open meanwhile isn't told that somebody else has edited it."""
    one = kept(library)
    address, metre = f"/api/files/{one.id}/edits", {"op": "metre", "metre": "3/4"}
    first = {"edits": [DELETE, {"op": "beats", "beats": [1, 1.5, 2], "downbeats": [1]}], "undone": [metre]}
    version = client.post(address, json=first).json()["version"]
    app = make_app(Library(library.folder), opened, Access("127.0.0.1", 8732), LIMITS)
    with TestClient(app, base_url=HERE) as again:
        assert again.get(f"/api/files/{one.id}").json()["version"] == version
        assert again.post(address, json={"edits": [DELETE], "version": version}).status_code == 200
        assert again.post(address, json={"edits": [metre], "version": version}).status_code == 409


def test_what_is_not_edited_is_exported_as_the_command_writes_it(client: TestClient, library: Library) -> None:
    entry = kept(library)
    heard = entry.heard()
    rendering = Rendering(page=Page(title="song"))
    for name in ("midi", "json", "csv", "beats", "jams", "lab", "leadsheet"):
        answer = client.get(f"/api/files/{entry.id}/export/{name}")
        assert answer.status_code == 200, answer.text
        assert answer.content == FORMATS[name].write(heard, rendering), name
        assert answer.headers["content-disposition"].startswith("attachment;")
    client.post(f"/api/files/{entry.id}/edits", json={"edits": [DELETE]})
    edited = client.get(f"/api/files/{entry.id}/export/csv").text
    assert len(edited.splitlines()) == 5


def test_a_score_says_where_its_notes_are(client: TestClient, library: Library) -> None:
    pytest.importorskip("verovio")
    pytest.importorskip("music21")
    entry = kept(library)
    page = client.get(f"/api/files/{entry.id}/score.svg?page=1")
    assert page.status_code == 200, page.text
    assert page.headers["x-pages"] == "1"
    assert 'id="n0"' in page.text
    places = client.get(f"/api/files/{entry.id}/score.json").json()
    assert {note["id"] for note in places["notes"]} == {0, 1, 2, 3, 4}
    assert all(0 < place[side] < 1 for place in (*places["notes"], *places["measures"]) for side in "xywh")
    assert places["measures"][0]["onset"] == pytest.approx(0.5)
    assert client.get(f"/api/files/{entry.id}/score.svg?page=2").status_code == 404


def test_a_part_of_the_sound_can_be_had(client: TestClient, library: Library) -> None:
    entry = kept(library)
    answer = client.get(f"/api/files/{entry.id}/sound", headers={"Range": "bytes=4-7"})
    assert (answer.status_code, answer.content) == (206, b"1234")
    assert answer.headers["content-type"] == "audio/wav"
    assert client.get(f"/api/files/{entry.id}/sound", headers={"Range": "bytes=99-"}).status_code == 416


def test_what_is_deleted_is_gone(client: TestClient, library: Library) -> None:
    entry = kept(library)
    assert client.delete(f"/api/files/{entry.id}").status_code == 204
    assert client.get(f"/api/files/{entry.id}").status_code == 404
    assert list(library.folder.iterdir()) == []


def test_what_a_killed_server_left_is_removed(library: Library) -> None:
    upload = library.begin("half.wav")
    upload.write(b"half")
    upload.file.close()
    assert list(library.folder.rglob("*.part"))
    assert Library(library.folder).entries() == []
    assert list(library.folder.iterdir()) == []


def test_the_page_and_its_assets(client: TestClient) -> None:
    page = client.get("/")
    assert page.headers["content-type"].startswith("text/html")
    assert "script-src 'self';" in page.headers["content-security-policy"]
    assert "<script>" not in page.text
    assert client.get("/assets/page.css").headers["content-type"].startswith("text/css")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\music\\a.wav", "a.wav"),
        ("a\0b\n.wav", "ab .wav"),
        ("", "recording"),
        ("..", ".."),
        ("x" * 300 + ".wav", "x" * 196 + ".wav"),
    ],
)
def test_names_are_text(name: str, shown: str) -> None:
    assert clean_name(name) == shown


def test_names_are_never_paths(client: TestClient, library: Library) -> None:
    for name in ("../../../tmp/evil.wav", "..", "<script>alert(1)</script>.wav", "a/../../b.exe", "x" * 5000):
        answer = client.post("/api/files", params={"name": name}, content=b"wait")
        assert answer.status_code == 201
        entry = library.entry(answer.json()["id"])
        assert entry is not None
        kept = [path.name for path in entry.folder.iterdir() if not path.name.startswith(".pitchai-")]  # being written
        assert {name.partition(".")[0] for name in kept} <= {"about", "recording"}
        assert entry.folder.parent == library.folder
        assert entry.recording is not None
        assert entry.recording.suffix in ("", ".wav")
    assert json.loads(client.get("/api/results").text)
    assert all((path.stat().st_mode & 0o077) == 0 for path in library.folder.iterdir())
