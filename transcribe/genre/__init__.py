"""Which genre a recording belongs to."""
