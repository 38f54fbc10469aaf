"""From a file to notes: python examples/transcribe_a_file.py examples/waltz.flac."""

import sys

from transcribe import transcribe_file

transcription = transcribe_file(sys.argv[1])
for note in transcription.notes:
    print(f"{note.onset:7.3f} s  {note.offset - note.onset:6.3f} s  pitch {note.pitch}  velocity {note.velocity}")
