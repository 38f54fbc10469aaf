"""harmonica-amt, a size by name, with the thresholds that come with its weights."""

import sys

import soundfile
import torch
from harmonica import Harmonica
from harmonica.data import resample
from harmonica.decoding import decode as decode_activations
from harmonica.model import VELOCITY
from protocol import serve

torch.set_num_threads(int(sys.argv[1]))
model = Harmonica(sys.argv[2], device="cpu")


def load(path):
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return resample(samples.mean(axis=1), rate, model.sample_rate), len(samples) / rate


def hear(samples):
    return model.activations(samples, model.sample_rate)


def decode(found):
    thresholds = model.onset_threshold, model.frame_threshold
    notes = decode_activations(
        found["onset"], found["sustain"], model.frames_per_second, *thresholds, found.get(VELOCITY)
    )
    columns = zip(notes.onsets, notes.offsets, notes.pitches, notes.velocities, strict=True)
    return [(float(on), float(off), int(pitch), max(1, int(velocity))) for on, off, pitch, velocity in columns]


serve(load, hear, decode)
