"""Training of the score network: see README.md."""
