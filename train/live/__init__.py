"""Training of the network that hears notes while they sound."""
