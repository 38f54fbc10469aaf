"""A recording, file or stream → blocks of mono samples."""
