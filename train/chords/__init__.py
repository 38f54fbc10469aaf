"""Training of the chords' network."""
