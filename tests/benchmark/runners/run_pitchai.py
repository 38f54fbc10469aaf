"""Our weights, by name; see ``compare.py`` for the protocol."""

import sys

from protocol import serve

from transcribe import Transcriber, load_audio

model = sys.argv[2] if len(sys.argv) > 2 else None
transcriber = Transcriber(tasks=("notes",), model=model, device="cpu", threads=int(sys.argv[1]))


def load(path):
    samples = load_audio(path, transcriber.sample_rate).samples
    return samples, len(samples) / transcriber.sample_rate


def hear(samples):
    return list(transcriber.activations([samples]))


def decode(activations):
    return [(n.onset, n.offset, n.pitch, n.velocity) for n in transcriber.decode(activations).notes]


serve(load, hear, decode)
