"""Which instruments play."""
