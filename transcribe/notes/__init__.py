"""Which notes are played, when and how loud."""
