"""Recordings rendered from MIDI and samples, as training data."""
