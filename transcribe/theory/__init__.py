"""Words of music: chords, keys, metres, families of instruments. No audio."""
