"""Sound fonts played within the process, each part on a channel of its own, its sound changed at random.

One FluidSynth an open font: a program is unpacked once and stays. 30 s of four voices take about 0.1 s.
"""

from __future__ import annotations

from ctypes import c_float, c_int, c_void_p
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from train.synthesis.piano import SAMPLE_RATE
from train.synthesis.players import STEP, Played

_CHANNELS = 256
_DRUM_BANK = 128
_EXPRESSION, _SUSTAIN = 11, 64
# Generators of the SoundFont 2.04 standard (8.1.3), changed by offsets: cents, centibels, timecents, semitones.
_FILTER, _RESONANCE, _FILTER_ENVELOPE, _ATTACK, _RELEASE, _SEMITONES, _CENTS = 8, 9, 11, 34, 38, 51, 52


@dataclass(frozen=True)
class Timbre:
    """Offsets of a font's own sounds; ``semitones``: the samples of so much higher notes, played slower."""

    filter: float = 0.0
    resonance: float = 0.0
    filter_envelope: float = 0.0
    attack: float = 0.0
    release: float = 0.0
    semitones: int = 0

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Timbre:
        """Draw one; a third are the font's own sound."""
        if rng.random() < 0.33:
            return cls()
        return cls(
            filter=float(rng.uniform(-3000, 600)) * (rng.random() < 0.6),
            resonance=float(rng.uniform(0, 120)) * (rng.random() < 0.3),
            filter_envelope=float(rng.uniform(-2000, 2000)) * (rng.random() < 0.3),
            attack=float(rng.normal(0, 700)),
            release=float(rng.normal(0, 900)),
            semitones=int(rng.integers(-4, 5)) if rng.random() < 0.6 else 0,
        )


class Font:
    """An open sound font.

    Parameters
    ----------
    path
        SF2 or SF3.

    Raises
    ------
    ValueError
        If it is no sound font.
    """

    def __init__(self, path: Path) -> None:
        import fluidsynth

        self.name = path.name
        quiet = {"synth.reverb.active": 0, "synth.chorus.active": 0, "synth.dynamic-sample-loading": 1}
        self._synth: Any = fluidsynth.Synth(0.25, SAMPLE_RATE, _CHANNELS, **quiet)
        arguments = (("synth", c_void_p, 1), ("channel", c_int, 1), ("generator", c_int, 1), ("value", c_float, 1))
        self._set_generator = fluidsynth.cfunc("fluid_synth_set_gen", c_int, *arguments)
        self._font = self._synth.sfload(str(path))
        if self._font < 0:
            raise ValueError(f"{path}: no sound font")
        self._channels: dict[tuple[int, int], int] = {}

    def _channel(self, bank: int, program: int) -> int | None:
        """Find the channel of a sound, or open one; None where the font has no such sound."""
        key = (bank, program)
        if key not in self._channels:
            channel = len(self._channels)
            # Fonts of a single kit have it as their first preset.
            for place in (key, (bank, 0), (0, 0)) if bank else (key,):
                if self._synth.sfpreset_name(self._font, *place) is not None:
                    self._synth.program_select(channel, self._font, *place)
                    self._channels[key] = channel
                    return channel
            return None
        return self._channels[key]

    def play(self, played: Played, seconds: float, timbre: Timbre, tuning: float = 0.0) -> np.ndarray:
        """Play a part.

        Parameters
        ----------
        played
            What is played, and by which program.
        seconds
            To render.
        timbre
            How the sound differs from the font's own.
        tuning
            Cents by which the whole is sharp.

        Returns
        -------
        np.ndarray
            float32 (n_samples,) at 16 kHz, mono, no louder than 1; silence where the font has no such sound.
        """
        n_samples = round(seconds * SAMPLE_RATE)
        channel = self._channel(_DRUM_BANK if played.part.is_drums else 0, played.program)
        if channel is None:
            return np.zeros(n_samples, np.float32)
        self._reset(channel, timbre, tuning)
        shift = 0 if played.part.is_drums else timbre.semitones
        out, now = [], 0
        for sample, action, value in self._events(played, n_samples, shift):
            if sample > now:
                out.append(self._synth.get_samples(sample - now))
                now = sample
            getattr(self._synth, action)(channel, *value)
        out.append(self._synth.get_samples(max(0, n_samples - now)))
        self._synth.all_sounds_off(channel)
        self._synth.get_samples(64)
        stereo = np.concatenate(out).reshape(-1, 2)[:n_samples]
        return np.asarray(stereo.mean(1) / 32768, np.float32)

    def _reset(self, channel: int, timbre: Timbre, tuning: float) -> None:
        self._synth.cc(channel, 121, 0)  # all controllers
        self._synth.pitch_bend(channel, 0)
        for generator, value in (
            (_FILTER, timbre.filter), (_RESONANCE, timbre.resonance), (_FILTER_ENVELOPE, timbre.filter_envelope),
            (_ATTACK, timbre.attack), (_RELEASE, timbre.release), (_SEMITONES, -timbre.semitones), (_CENTS, tuning),
        ):  # fmt: skip
            self._set_generator(self._synth.synth, channel, generator, float(value))

    @staticmethod
    def _events(played: Played, n_samples: int, shift: int) -> list[tuple[int, str, tuple[int, ...]]]:
        """List what happens, in samples; ends before beginnings, bends before the notes that they bend."""
        events: list[tuple[int, int, str, tuple[int, ...]]] = []
        for onset, offset, pitch, velocity in played.part.notes:
            key = int(np.clip(pitch + shift, 0, 127))
            events.append((round(onset * SAMPLE_RATE), 3, "noteon", (key, int(velocity))))
            events.append((round(offset * SAMPLE_RATE), 0, "noteoff", (key,)))
        for down, up in played.part.pedals:
            events.append((round(down * SAMPLE_RATE), 1, "cc", (_SUSTAIN, 127)))
            events.append((round(up * SAMPLE_RATE), 1, "cc", (_SUSTAIN, 0)))
        for track, action in ((played.cents, "pitch_bend"), (played.loudness, "cc")):
            if track is None:
                continue
            if action == "pitch_bend":
                values = np.round(track * 8191 / 200).astype(int)
            else:  # the modulator of CC11 is concave: amplitude is the square of the value
                values = np.round(127 * np.sqrt(np.clip(track, 0, 1))).astype(int)
            for i in np.flatnonzero(np.diff(values, prepend=values[0] - 1)):
                value = (int(values[i]),) if action == "pitch_bend" else (_EXPRESSION, int(values[i]))
                events.append((int(i * STEP * SAMPLE_RATE), 2, action, value))
        events.sort(key=lambda event: event[:2])
        return [(sample, action, value) for sample, _, action, value in events if sample < n_samples]
