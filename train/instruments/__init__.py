"""Training of the instruments' network."""
