"""Find the beats of the recordings whose paths come on stdin; see ``compare_beats.py`` for the protocol."""

import json
import sys
import time

from transcribe import Transcriber

transcriber = Transcriber(tasks=("notes", "beats"), device="cpu", threads=int(sys.argv[1]))
for line in sys.stdin:
    cpu = time.process_time()
    result = transcriber.transcribe_file(line.rstrip("\n"))
    cpu = time.process_time() - cpu
    downbeats = set(result.downbeats)
    beats = [(seconds, 1 if seconds in downbeats else 0) for seconds in result.beats]
    print(json.dumps({"beats": beats, "seconds": result.duration, "cpu": cpu}), flush=True)
