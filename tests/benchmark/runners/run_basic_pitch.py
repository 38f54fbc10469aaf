"""basic-pitch's library and its ONNX model, with its own thresholds."""

import contextlib
import logging
import sys

logging.disable(logging.WARNING)
import librosa  # noqa: E402
import numpy as np  # noqa: E402
import onnxruntime  # noqa: E402
from basic_pitch import ICASSP_2022_MODEL_PATH, note_creation  # noqa: E402
from basic_pitch.constants import AUDIO_N_SAMPLES, AUDIO_SAMPLE_RATE, FFT_HOP  # noqa: E402
from basic_pitch.inference import Model, unwrap_output, window_audio_file  # noqa: E402
from protocol import serve  # noqa: E402

OVERLAP_FRAMES = 30  # as its run_inference has it
MIN_NOTE_FRAMES = round(0.1277 * AUDIO_SAMPLE_RATE / FFT_HOP)  # the default of its command

model = Model(ICASSP_2022_MODEL_PATH)
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = int(sys.argv[1])
model.model = onnxruntime.InferenceSession(str(ICASSP_2022_MODEL_PATH), options, providers=["CPUExecutionProvider"])


def load(path):
    samples, _ = librosa.load(path, sr=AUDIO_SAMPLE_RATE, mono=True)
    return samples, len(samples) / AUDIO_SAMPLE_RATE


def hear(samples):
    overlap = OVERLAP_FRAMES * FFT_HOP
    padded = np.concatenate([np.zeros(overlap // 2, np.float32), samples])
    outputs: dict = {"note": [], "onset": [], "contour": []}
    for window, _ in window_audio_file(padded, AUDIO_N_SAMPLES - overlap):
        for name, value in model.predict(window[None]).items():
            outputs[name].append(value)
    return {k: unwrap_output(np.concatenate(v), len(samples), OVERLAP_FRAMES) for k, v in outputs.items()}


def decode(output):
    with contextlib.redirect_stdout(sys.stderr):
        _, notes = note_creation.model_output_to_notes(
            output, onset_thresh=0.5, frame_thresh=0.3, min_note_len=MIN_NOTE_FRAMES
        )
    return [(float(n[0]), float(n[1]), int(n[2]), max(1, round(float(n[3]) * 127))) for n in notes]


serve(load, hear, decode)
