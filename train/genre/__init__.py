"""Training of the genre network."""
