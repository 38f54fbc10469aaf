"""Notes while they sound: what hears a stream of samples, and what it is heard from and sent to."""
