"""From samples to activations."""
