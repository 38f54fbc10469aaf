"""Words of music: chords and keys. No audio."""
