"""Name the chords of the recordings whose paths come on stdin; see ``compare_chords.py`` for the protocol."""

import json
import sys
import time

from transcribe import Transcriber

transcriber = Transcriber(tasks=("chords",), device="cpu", threads=int(sys.argv[1]))
for line in sys.stdin:
    cpu = time.process_time()
    result = transcriber.transcribe_file(line.rstrip("\n"))
    chords = [(chord.onset, chord.offset, chord.label) for chord in result.chords]
    cpu = time.process_time() - cpu
    print(json.dumps({"chords": chords, "seconds": result.duration, "cpu": cpu}), flush=True)
