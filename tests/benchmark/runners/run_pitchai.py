"""Transcribe the recordings whose paths come on stdin; see ``compare.py`` for the protocol."""

import json
import resource
import sys
import time

import torch

from transcribe import Transcriber, load_audio

threads = int(sys.argv[1])
torch.set_num_threads(threads)
transcriber = Transcriber(sys.argv[2] if len(sys.argv) > 2 else None, "cpu")
for line in sys.stdin:
    samples = load_audio(line.rstrip("\n"), transcriber.sample_rate).samples
    cpu, wall = time.process_time(), time.perf_counter()
    activations = list(transcriber.activations([samples]))
    network_cpu = time.process_time() - cpu
    notes = transcriber.decode(activations).notes
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    answer = {
        "notes": [(n.onset, n.offset, n.pitch, n.velocity) for n in notes],
        "seconds": len(samples) / transcriber.sample_rate,
        "cpu": cpu,
        "network_cpu": network_cpu,
        "wall": wall,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
    print(json.dumps(answer), flush=True)
