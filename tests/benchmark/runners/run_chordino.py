"""The same with Chordino (Mauch and Dixon, 2010), in the package chord-extractor with its default settings."""

import json
import sys
import time
import warnings

warnings.simplefilter("ignore")
import soundfile  # noqa: E402
from chord_extractor.extractors import Chordino  # noqa: E402

extractor = Chordino()
for line in sys.stdin:
    cpu = time.process_time()
    changes = extractor.extract(line.rstrip("\n"))
    cpu = time.process_time() - cpu
    info = soundfile.info(line.rstrip("\n"))
    ends = [change.timestamp for change in changes[1:]] + [info.duration]
    chords = [(change.timestamp, end, change.chord) for change, end in zip(changes, ends, strict=True)]
    print(json.dumps({"chords": chords, "seconds": info.duration, "cpu": cpu}), flush=True)
