"""Training the notes of any instruments, their families and drums."""
