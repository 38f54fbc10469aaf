"""Name the chords of the recordings whose paths come on stdin; see ``compare_chords.py`` for the protocol."""

import json
import sys
import time

from transcribe.engine.devices import set_threads
from transcribe.recognisers import ChordRecogniser

set_threads(int(sys.argv[1]))
recogniser = ChordRecogniser(device="cpu")
for line in sys.stdin:
    cpu = time.process_time()
    result = recogniser.recognise_file(line.rstrip("\n"))
    chords = [(chord.onset, chord.offset, chord.label) for chord in result.chords]
    cpu = time.process_time() - cpu
    print(json.dumps({"chords": chords, "seconds": result.duration, "cpu": cpu}), flush=True)
