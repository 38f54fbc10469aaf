"""Write the pages of the documents that are made from the program: ``python docs/generate.py``.

``commands.md`` has every command and option as the help shows them; ``formats.md`` and ``onnx.md`` end with tables.
A test says when they are not current; ``python docs/generate.py --check`` does too.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from typer.main import get_command

from transcribe.cli.help import panels, usage
from transcribe.cli.main import commands, transcribing
from transcribe.formats.table import FORMATS
from transcribe.registry import TASKS

HERE = Path(__file__).parent
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
MARK = "<!-- made by docs/generate.py: don't edit below -->\n"


def pages() -> dict[str, str]:
    """Make the pages: name to text."""
    made = {"formats.md": _formats(), "onnx.md": _graphs()}
    above = {name: (HERE / name).read_text(encoding="utf-8").partition(MARK)[0] for name in made}
    return {"commands.md": _commands(), **{name: f"{above[name]}{MARK}\n{text}" for name, text in made.items()}}


def _commands() -> str:
    group = get_command(commands())
    named: Mapping[str, object] = {"": get_command(transcribing()), **getattr(group, "commands", {})}
    parts = [
        "# Every command and option\n\n"
        "Options may stand before or after what is given. `pitchai help chords` shows the part about `chords`.\n\n"
        + MARK
    ]
    for name, command in named.items():
        path = f"pitchai {name}".strip()
        text = "\n\n".join(" ".join(p.split()) for p in str(getattr(command, "help", "")).split("\n\n"))
        parts.append(
            f"## {path}\n\n{_markdown(text)}\n\n    {usage(command, path)}\n\n" + "\n".join(_panels(command, path))
        )
    return "\n".join(parts)


def _panels(command: object, path: str) -> Iterator[str]:
    for panel in panels(command):
        if panel.title == "Commands":
            continue
        yield f"### {panel.title} {{ #{_anchor(f'{path} {panel.title}')} }}\n"
        yield "| | |\n|---|---|"
        for line in panel.lines:
            yield f"| `{_cell(line.typed)}` | {_cell(_markdown(line.text))} |"
        yield ""


def _formats() -> str:
    lines = ["| name | suffix | what it holds | read back | needs |", "|---|---|---|---|---|"]
    for form in FORMATS.values():
        needs = ", ".join(sorted(form.needs)) or ("the extra `score`" if form.check else "")
        suffixes = " ".join(f"`{suffix}`" for suffix in form.suffixes)
        lines.append(f"| {form.name} | {suffixes} | {form.about} | {'yes' if form.read else ''} | {needs} |")
    lines += ["", "What the commands of single tasks write:", "", "| command | formats |", "|---|---|"]
    for task in TASKS:
        if task.formats is not FORMATS:
            named = ", ".join(f"{form.name} (`{form.suffixes[0]}`)" for form in task.formats.values())
            lines.append(f"| `pitchai {task.name}` | {named} |")
    return "\n".join(lines) + "\n"


def _graphs() -> str:
    import onnxruntime

    lines = ["| file | border, stride in frames | input | outputs |", "|---|---|---|---|"]
    for path in sorted((HERE.parent / "weights").glob("*.onnx")):
        session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
        about = json.loads(session.get_modelmeta().custom_metadata_map["pitchai"])
        shapes = [
            f"`{one.name}` {tuple(_size(size) for size in one.shape)}".replace("'", "")
            for one in (*session.get_inputs(), *session.get_outputs())
        ]
        border = f"{about.get('border')}, {about.get('stride')}"
        lines.append(f"| `{path.name}` | {border} | {shapes[0]} | {'; '.join(shapes[1:])} |")
    return "\n".join(lines) + "\n"


def _size(size: object) -> object:
    return size if isinstance(size, int) else "frames" if str(size).startswith("8*") else "steps"


def _markdown(text: str) -> str:
    """Turn rich's marks into Markdown's."""
    text = re.sub(r"\[bold\](.*?)\[/\]", r"`\1`", text)
    return re.sub(r"(?<!\\)\[/?\w*\]", "", text).replace("\\[", "[")


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def _anchor(text: str) -> str:
    return re.sub(r"\W+", "-", text.lower()).strip("-")


def main(words: list[str]) -> int:
    """Write the pages, or with ``--check`` only say which aren't current."""
    old = {name: text for name, text in pages().items() if _there(HERE / name) != text}
    for name, text in old.items():
        print(f"docs/{name}")
        if "--check" not in words:
            (HERE / name).write_text(text, encoding="utf-8")
    return int("--check" in words and bool(old))


def _there(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
