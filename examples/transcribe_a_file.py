"""From a file to notes, and to MIDI: python examples/transcribe_a_file.py examples/waltz.flac waltz.mid."""

import sys

from transcribe import Transcriber

result = Transcriber().transcribe_file(sys.argv[1])
print(result)
for note in result.notes:
    print(f"{note.onset:7.3f} s  {note.offset - note.onset:6.3f} s  pitch {note.pitch}  velocity {note.velocity}")
if len(sys.argv) > 2:
    result.save(sys.argv[2])
