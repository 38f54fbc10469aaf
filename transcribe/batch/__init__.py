"""Many files: planned, heard by several workers or machines, written whole."""
