"""The rungs below a transcription: python examples/activations.py examples/waltz.flac."""

import sys

import numpy as np

from transcribe import Transcriber, load_audio

transcriber = Transcriber(tasks=("notes",))
audio = load_audio(sys.argv[1], transcriber.sample_rate)
heard = list(transcriber.activations([audio.samples]))
onset = np.concatenate([block.onset for block in heard])  # (n_frames, 88)
print(f"{len(onset)} frames; an onset is surest at {onset.max():.2f}")
for threshold in (0.2, 0.4, 0.6):
    print(f"onset threshold {threshold}: {len(transcriber.decode(heard, onset_threshold=threshold).notes)} notes")
