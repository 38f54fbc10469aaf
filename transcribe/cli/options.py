"""The options that commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Inputs = Annotated[
    list[str], typer.Argument(metavar="INPUT…", help="Recordings, folders or globs; - is standard input.")
]
Outputs = Annotated[
    list[str] | None,
    typer.Option("--output", "-o", help="A file, a folder, or - for stdout. Beside the recording if not given."),
]
Recursive = Annotated[bool, typer.Option("--recursive", "-r", help="Search folders within folders.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace results that exist.")]
SkipExisting = Annotated[bool, typer.Option("--skip-existing", help="Leave out what has its results.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document a recording.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print only the paths written.")]
PlotReference = Annotated[
    Path | None,
    typer.Option(help="The true notes: a picture shows what was hit, missed and added.", show_default=False),
]
Model = Annotated[str | None, typer.Option(help="small, medium, large, or a .safetensors file.", show_default=False)]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
Precision = Annotated[
    str, typer.Option(help="auto, float32 or bfloat16; bfloat16 is for torch, on processors that compute in it.")
]
Threads = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=64,
        help="CPU threads, some 70 MB each; one a core, at most 8, if not given; 1 with --workers or --ray.",
    ),
]
MaxDuration = Annotated[
    float, typer.Option(min=0.0, help="Hours; longer recordings are refused.", metavar="HOURS", show_default=True)
]
Workers = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=1024,
        help="Processes that listen side by side, a thread each; one that dies takes its file down only.",
    ),
]
Ray = Annotated[
    str | None,
    typer.Option(
        "--ray",
        metavar="[ADDRESS]",
        help="A Ray cluster does it: machine:port, local, or auto: the one that runs here, else local. "
        "--workers is then the highest number of its actors.",
    ),
]
ManifestFile = Annotated[
    str | None,
    typer.Option(
        "--manifest",
        help="A line of JSON for every recording done; with --workers or --ray and -o DIR: DIR/pitchai.jsonl.",
    ),
]
Tempo = Annotated[
    float | None,
    typer.Option(min=10.0, max=600.0, help="Beats a minute, where you know better.", show_default=False),
]
BeatsFile = Annotated[
    Path | None,
    typer.Option(
        "--beats", help="The beats: lines of a time and a number within the bar, or a result.", show_default=False
    ),
]
Quantize = Annotated[bool, typer.Option("--quantize", help="Move the notes onto the beats and their parts.")]
Detail = Annotated[
    float, typer.Option(min=0.1, max=10.0, help="Rhythms of scores and --quantize: above 1 finer, below simpler.")
]
Threshold = Annotated[float | None, typer.Option(min=0.0, max=1.0, show_default=False)]
# Of the commands that print what they find, and have weights of one size.
OutputsIfAsked = Annotated[
    list[str] | None,
    typer.Option("--output", "-o", help="A file, a folder, or - for stdout; nothing if not given."),
]
ModelFile = Annotated[str | None, typer.Option(help="A .safetensors file.", show_default=False)]
