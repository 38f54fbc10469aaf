"""Training of the notes' network."""
