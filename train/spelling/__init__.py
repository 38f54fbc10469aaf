"""Training of the spelling network: see README.md."""
