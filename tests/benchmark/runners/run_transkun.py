"""Transkun, as its command runs it; its network and its decoding are one."""

import sys
from importlib.resources import files

import moduleconf
import soundfile
import soxr
import torch
from protocol import serve

torch.set_num_threads(int(sys.argv[1]))
torch.set_grad_enabled(False)
folder = files("transkun") / "pretrained"
described = moduleconf.parseFromFile(str(folder / "2.0.conf"))["Model"]
model = described.module.TransKun(conf=described.config)
stored = torch.load(str(folder / "2.0.pt"), map_location="cpu")
model.load_state_dict(stored.get("best_state_dict", stored.get("state_dict")), strict=False)
model.eval()


def load(path):
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return torch.from_numpy(soxr.resample(samples, rate, model.fs)), len(samples) / rate


def hear(samples):
    return model.transcribe(samples, discardSecondHalf=False)


def decode(notes):
    return [(float(n.start), float(n.end), int(n.pitch), max(1, int(n.velocity))) for n in notes if n.pitch > 0]


serve(load, hear, decode)
