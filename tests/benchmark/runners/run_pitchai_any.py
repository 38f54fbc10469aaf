"""Our weights, by name or path, with instruments and drums; see ``compare_any.py`` for what is more in the answer."""

import sys

from protocol import serve

from transcribe import Transcriber, load_audio

transcriber = Transcriber(tasks=("notes",), model=sys.argv[2], device="cpu", threads=int(sys.argv[1]))


def load(path):
    samples = load_audio(path, transcriber.sample_rate).samples
    return samples, len(samples) / transcriber.sample_rate


def hear(samples):
    return list(transcriber.activations([samples]))


def decode(activations):
    found = transcriber.decode(activations)
    return {
        "notes": [(n.onset, n.offset, n.pitch, n.velocity, n.instrument) for n in found.notes],
        "drums": [(d.onset, d.label, d.velocity) for d in found.drums],
        "model": found.models["notes"],
    }


serve(load, hear, decode)
