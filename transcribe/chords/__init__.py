"""Which chords are played."""
