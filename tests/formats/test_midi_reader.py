"""MIDI files as others write them, byte by byte; what is right the specification, MuseScore or FluidSynth say."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import transcriptions
from transcribe.errors import InputError
from transcribe.events import Key, Note, Pedal, Transcription
from transcribe.formats import midi_reader
from transcribe.formats.midi import from_midi, to_midi
from transcribe.formats.midi_reader import read_midi

Event = tuple[int, bytes]
END = b"\x00\xff\x2f\x00"


def length(value: int) -> bytes:
    encoded = [value & 0x7F]
    while value := value >> 7:
        encoded.append(value & 0x7F | 0x80)
    return bytes(reversed(encoded))


def track(*events: Event, end: bytes = END) -> bytes:
    """A track of ticks since the event before, and messages."""
    content = b"".join(length(ticks) + message for ticks, message in events) + end
    return b"MTrk" + struct.pack(">I", len(content)) + content


def midi(*tracks: bytes, form: int = 1, division: int = 480) -> bytes:
    return b"MThd" + struct.pack(">IHHH", 6, form, len(tracks), division) + b"".join(tracks)


def on(pitch: int, velocity: int = 80, channel: int = 0) -> bytes:
    return bytes([0x90 | channel, pitch, velocity])


def off(pitch: int, channel: int = 0) -> bytes:
    return bytes([0x80 | channel, pitch, 0])


def control(number: int, value: int, channel: int = 0) -> bytes:
    return bytes([0xB0 | channel, number, value])


def meta(kind: int, content: bytes) -> bytes:
    return bytes([0xFF, kind]) + length(len(content)) + content


def tempo(microseconds: int) -> bytes:
    return meta(0x51, microseconds.to_bytes(3))


# Half a second, at 120 quarters a minute.
ONE = track((0, on(60)), (480, off(60)))


def notes_of(content: bytes) -> list[tuple[int, float, float]]:
    return [(n.pitch, round(n.onset, 4), round(n.offset, 4)) for n in from_midi(content).notes]


@pytest.mark.parametrize("place", range(3))
def test_the_tempo_may_stand_in_any_track(place: int) -> None:
    tracks = [track((0, meta(3, b"song"))), track((0, meta(3, b"piano"))), track((480, on(60)), (480, off(60)))]
    tracks.insert(place, track((0, tempo(1_000_000)), (480, tempo(250_000))))
    assert notes_of(midi(*tracks)) == [(60, 1.0, 1.25)]


def test_tempo_beside_the_notes_of_a_single_track() -> None:
    one = track((0, on(60)), (480, tempo(1_000_000)), (480, off(60)))
    assert notes_of(midi(one, form=0)) == [(60, 0.0, 1.5)]


def test_of_two_tempos_at_one_tick_the_later_is_valid_and_none_is_zero() -> None:
    one = track((0, tempo(250_000)), (0, tempo(1_000_000)), (0, tempo(0)), (0, on(60)), (480, off(60)))
    assert notes_of(midi(one, form=0)) == [(60, 0.0, 1.0)]


@pytest.mark.parametrize("signature", [b"\x08\x00", b"\xf8\x00", b"\x7f\x00", b"\x00\x05", b"\x00"])
def test_odd_key_signatures_say_nothing(signature: bytes) -> None:
    found = from_midi(midi(track((0, meta(0x59, signature))), ONE))
    assert [note.pitch for note in found.notes] == [60]
    assert (found.key, found.keys) == (None, ())


@pytest.mark.parametrize(
    "message",
    [
        b"\xf0\x05\x7e\x80\xff\xfe\xf7",
        b"\xf0\x03\x41\x10\x42",  # continued
        b"\xf7\x03\x90\x3c\x40",  # an escape
        b"\xf8",
        b"\xf2\x01\x02",
        b"\xf3\x05",
        meta(0x7F, b"\x00\x00\x41 its own"),
        meta(0x05, b"\xff\xfel\xe4la"),
    ],
)
def test_messages_without_meaning_are_passed_over(message: bytes) -> None:
    assert notes_of(midi(track((0, message), (0, on(60)), (240, message), (240, off(60))))) == [(60, 0.0, 0.5)]


def test_of_overlapping_notes_the_first_to_begin_ends_first() -> None:
    four = track((0, on(60)), (480, on(60, 50)), (480, off(60)), (480, off(60)))
    found = from_midi(midi(four)).notes
    assert [(n.onset, n.offset, n.velocity) for n in found] == [(0.0, 1.0, 80), (0.5, 1.5, 50)]


def test_overlapping_notes_of_two_tracks_or_channels_have_their_own_ends() -> None:
    upper, lower = track((0, on(60)), (1920, off(60))), track((480, on(60)), (480, off(60)))
    assert notes_of(midi(upper, lower)) == [(60, 0.0, 2.0), (60, 0.5, 1.0)]
    both = track((0, on(60)), (480, on(60, channel=1)), (480, off(60, channel=1)), (960, off(60)))
    assert notes_of(midi(both)) == [(60, 0.0, 2.0), (60, 0.5, 1.0)]


def test_where_a_note_off_is_missing_the_next_note_ends_the_one_before() -> None:
    lost = track((0, on(60)), (480, on(60)), (480, off(60)), (480, on(60)), (480, off(60)))
    assert notes_of(midi(lost)) == [(60, 0.0, 0.5), (60, 0.5, 1.0), (60, 1.5, 2.0)]


def test_a_note_that_never_ends_ends_with_its_track() -> None:
    assert notes_of(midi(track((0, on(60)), end=b"\x83\x60\xff\x2f\x00"))) == [(60, 0.0, 0.5)]


def test_notes_of_no_length_last_a_tick() -> None:
    assert notes_of(midi(track((0, on(60)), (0, off(60))))) == [(60, 0.0, 0.001)]
    # The end of one, after the beginning of the next at the same tick.
    assert notes_of(midi(track((0, on(60)), (480, on(60)), (0, off(60)), (480, off(60))))) == [
        (60, 0.0, 0.5),
        (60, 0.5, 1.0),
    ]


@pytest.mark.parametrize("number", [120, 123])
def test_all_notes_off_ends_those_of_its_channel(number: int) -> None:
    one = track((0, on(60)), (0, on(64, channel=1)), (480, control(number, 0)), (480, off(64, 1)))
    assert notes_of(midi(one)) == [(60, 0.0, 0.5), (64, 0.0, 1.0)]


def test_running_status_goes_on_after_a_meta_event() -> None:
    one = track((0, on(60)), (480, b"\x3c\x00"), (0, b"\x3e\x50"), (480, meta(1, b"hi")), (0, b"\x3e\x00"))
    assert notes_of(midi(one)) == [(60, 0.0, 0.5), (62, 0.5, 1.0)]


def test_data_without_a_status_is_damage() -> None:
    found = from_midi(midi(track((0, b"\x3c\x50")), ONE))
    assert [note.pitch for note in found.notes] == [60]
    assert found.warnings == ("track 1 is damaged; what precedes that is read",)


@pytest.mark.parametrize(
    ("division", "seconds"),
    [(0xE728, 1.0), (0xE250, 1000 / 2400), (0xE764, 0.4), (0xE828, 1000 / 960)],
    ids=["25 x 40", "30 x 80", "25 x 100", "24 x 40"],
)
def test_smpte_time_knows_no_tempo(division: int, seconds: float) -> None:
    content = midi(track((0, tempo(123_456)), (0, on(60)), (1000, off(60))), division=division)
    assert notes_of(content) == [(60, 0.0, round(seconds, 4))]
    assert from_midi(content).beats == ()


def test_drop_frames_are_30_000_in_1001_seconds() -> None:
    content = midi(track((0, on(60)), (30_000, off(60))), division=(256 - 29) << 8 | 10)
    assert notes_of(content) == [(60, 0.0, 100.1)]


def test_pieces_of_format_2_follow_each_other_each_with_its_own_tempo() -> None:
    slow = track((0, tempo(1_000_000)), (0, on(60)), (480, off(60)))
    found = from_midi(midi(slow, ONE, form=2))
    assert [(n.pitch, n.onset, n.offset) for n in found.notes] == [(60, 0.0, 1.0), (60, 1.0, 1.5)]
    assert found.warnings == ("holds 2 pieces (format 2); they are read one after the other",)


WRAPPED = midi(ONE)


@pytest.mark.parametrize(
    "content",
    [
        b"RIFF" + struct.pack("<I", len(WRAPPED) + 12) + b"RMIDdata" + struct.pack("<I", len(WRAPPED)) + WRAPPED,
        b"\x00\x04song".ljust(128, b"\x00") + WRAPPED,  # MacBinary
        WRAPPED + b"\x00\x1a rubbish \xff" * 9,
        WRAPPED + WRAPPED,
        midi(track((0, on(60)), (480, off(60)), end=b"")),
        b"MThd" + struct.pack(">IHHH", 8, 1, 1, 480) + b"\x12\x34" + ONE,  # a longer header
        midi()[:10] + b"\x00\x01" + midi()[12:] + b"XFIH\x00\x00\x00\x02ab" + ONE,
        midi(ONE[:4] + b"\x00\x00\x00\x00" + ONE[8:]),
        midi(ONE[:4] + b"\x00\x00\x00\x02" + ONE[8:]),
    ],
    ids=["RMID", "MacBinary", "junk", "twice", "no end", "long header", "other chunk", "length 0", "length 2"],
)
def test_what_stands_around_the_tracks_does_not_matter(content: bytes) -> None:
    found = from_midi(content)
    assert [(n.pitch, n.onset, n.offset) for n in found.notes] == [(60, 0.0, 0.5)]
    assert found.warnings == ()


def test_a_file_that_breaks_off_gives_what_is_there_and_says_so() -> None:
    whole = midi(ONE, track((0, on(64)), (480, off(64)), (0, on(65)), (480, off(65))))
    found = from_midi(whole[:-6])
    assert [note.pitch for note in found.notes] == [60, 64, 65]
    assert found.warnings == ("track 2 is damaged; what precedes that is read",)
    lost = from_midi(whole[: 14 + len(ONE) + 6])
    assert [note.pitch for note in lost.notes] == [60]
    assert lost.warnings == ("breaks off: it holds 1 of 2 tracks",)


def test_the_pedal_may_stand_before_its_notes_and_in_another_track() -> None:
    pedal = track((0, control(64, 127)), (1440, control(64, 20)))
    found = from_midi(midi(pedal, track((480, on(60)), (240, off(60)))))
    assert found.pedals == (Pedal(0.0, 1.5),)


def test_how_far_the_pedal_is_down_is_told_where_one_channel_has_it() -> None:
    one = track((0, control(64, 30)), (480, control(64, 90)), (0, control(64, 70)), (480, control(64, 0)))
    assert read_midi(midi(one)).pedal_moves == [(0.0, 30), (0.5, 70), (1.0, 0)]
    other = track((0, control(64, 127, channel=1)))
    assert read_midi(midi(one, other)).pedal_moves == []


def test_pedals_of_all_channels_but_the_drums_count() -> None:
    one = track((0, control(64, 64, 3)), (480, control(64, 63, 3)), (0, control(64, 127, 9)), (480, on(60)))
    assert from_midi(midi(one)).pedals == (Pedal(0.0, 0.5),)


def test_a_pedal_that_is_never_lifted_and_one_that_a_reset_lifts() -> None:
    held = track((0, on(60)), (480, control(64, 127)), (480, off(60)))
    assert from_midi(midi(held)).pedals == (Pedal(0.5, 1.0),)
    reset = track((0, on(60)), (0, control(64, 127)), (480, control(121, 0)), (480, off(60)))
    assert from_midi(midi(reset)).pedals == (Pedal(0.0, 0.5),)


def test_drums_are_no_notes() -> None:
    found = from_midi(midi(track((0, on(36, channel=9)), (0, on(60)), (480, off(60)), (0, off(36, 9)))))
    assert [note.pitch for note in found.notes] == [60]
    assert [(drum.onset, drum.label) for drum in found.drums] == [(0.0, "bass drum")]
    assert found.warnings == ()


def test_other_percussion_is_left_out_and_that_is_said() -> None:
    found = from_midi(midi(track((0, on(56, channel=9)), (0, on(60)), (480, off(60)), (0, off(56, 9)))))
    assert ([note.pitch for note in found.notes], found.drums) == ([60], ())
    assert found.warnings == ("percussion that is no drum or cymbal of a kit (channel 10) is left out",)


def program(number: int, channel: int = 0) -> bytes:
    return bytes([0xC0 | channel, number])


def test_instruments_are_the_programs_of_their_channels_and_may_change() -> None:
    one = track((0, program(40, 2)), (0, on(60, channel=2)), (480, off(60, 2)), (0, program(73, 2)),
                (0, on(62, channel=2)), (0, on(64, channel=1)), (480, off(62, 2)), (0, off(64, 1)))  # fmt: skip
    found = from_midi(midi(one))
    assert [(n.pitch, n.instrument) for n in found.notes] == [(60, "strings"), (62, "flute"), (64, "piano")]


def test_a_program_may_stand_in_another_track_but_the_tracks_own_comes_first() -> None:
    elsewhere = track((0, program(56)), (0, program(33, 1)))
    own = track((0, program(71)), (0, on(60)), (0, on(40, channel=1)), (480, off(60)), (0, off(40, 1)))
    found = from_midi(midi(own, elsewhere))
    assert [(n.pitch, n.instrument) for n in found.notes] == [(40, "bass"), (60, "reed")]


def test_effects_are_no_instrument_and_pianos_alone_say_nothing() -> None:
    played = ((0, on(60)), (480, off(60)), (0, program(1)), (0, on(61)), (480, off(61)))
    assert [n.instrument for n in from_midi(midi(track(*played))).notes] == [None, None]
    mixed = track((0, program(125)), *played)
    assert [n.instrument for n in from_midi(midi(mixed)).notes] == [None, "piano"]


def test_data_above_127_is_brought_into_range_or_left_out() -> None:
    found = from_midi(midi(track((0, bytes([0x90, 60, 200])), (0, bytes([0x90, 200, 80])), (480, off(60)))))
    assert [(note.pitch, note.velocity) for note in found.notes] == [(60, 127)]


def test_keys_are_read_and_written_again() -> None:
    keys = track((0, meta(0x59, b"\xfd\x00")), (480, meta(0x59, b"\x01\x01")))
    found = from_midi(midi(keys, track((0, on(60)), (1440, off(60)))))
    assert found.keys == (Key(0.0, 0.5, "Eb major"), Key(0.5, 1.5, "E minor"))
    assert found.key == "E minor"
    assert from_midi(to_midi(found)).key == "E minor"


@pytest.mark.parametrize("numerator", [0, 1, 64, 65, 255])
@pytest.mark.parametrize("power", [0, 2, 6, 7, 255])
def test_any_metre_that_a_file_can_hold_is_read(numerator: int, power: int) -> None:
    steady = track(*((0 if i == 0 else 240, on(60) if i % 2 == 0 else off(60)) for i in range(40)))
    metre = track((0, meta(0x58, bytes([numerator, power, 24, 8]))), (480, tempo(500_000)), (480, tempo(400_000)))
    found = from_midi(midi(metre, steady))
    assert len(found.notes) == 20
    assert {metre.label for metre in found.metres} <= {f"{numerator}/{2 ** min(power, 6)}"}
    assert to_midi(found)


def test_c_major_may_as_well_be_no_key() -> None:
    assert from_midi(midi(track((0, meta(0x59, b"\x00\x00"))), ONE)).keys == ()


@pytest.mark.parametrize("content", [b"", b"MThd", b"MThd" + b"\xff" * 10, midi(ONE, form=3), midi(ONE, division=0)])
def test_what_is_no_midi_is_refused(content: bytes) -> None:
    with pytest.raises(InputError, match="not a MIDI file") as caught:
        read_midi(content)
    assert "\n" not in str(caught.value)


def test_more_events_than_a_day_of_music_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(midi_reader, "_MOST_EVENTS", 100)
    with pytest.raises(InputError, match="more than 100 events"):
        read_midi(midi(track(*[(1, on(60)), (1, off(60))] * 60)))


def test_nothing_lasts_longer_than_a_month() -> None:
    late = b"\xff\xff\xff\x7f"
    with pytest.raises(InputError, match="longer than a month"):
        read_midi(midi(b"MTrk" + struct.pack(">I", 12) + late + on(60) + b"\x00" + off(60), division=1))


@given(st.binary(max_size=60), st.integers(0, 3))
def test_any_bytes_are_read_or_refused(content: bytes, form: int) -> None:
    try:
        found = from_midi(midi(track(end=content), form=form))
    except InputError:
        return
    assert all(note.onset < note.offset for note in found.notes)
    from_midi(to_midi(found))


@given(transcriptions())
def test_midi_made_of_midi_is_the_same(transcription: Transcription) -> None:
    once = from_midi(to_midi(transcription))
    again = from_midi(to_midi(once))
    assert [(n.pitch, n.velocity) for n in again.notes] == [(n.pitch, n.velocity) for n in once.notes]
    assert [n.onset for n in again.notes] == pytest.approx([n.onset for n in once.notes], abs=1e-3)
    assert len(again.pedals) == len(once.pedals)


def test_a_pedal_shorter_than_a_tick_is_lifted_again() -> None:
    song = Transcription((Note(0.0, 60, 5.0, 64),), (Pedal(1.0, 1.0001), Pedal(3.0, 4.0)), duration=5.0)
    spans = [(round(p.onset, 2), round(p.offset, 2)) for p in from_midi(to_midi(song)).pedals]
    assert spans == [(1.0, 1.0), (3.0, 4.0)]
