"""What somebody corrected: operations beside what was heard, done again by whoever reads the result."""
