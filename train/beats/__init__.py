"""Training of the beat network."""
