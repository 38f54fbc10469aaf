"""Many files: planned, transcribed by several workers or machines, written whole."""
