"""What the user corrected: operations beside what was heard, done again by every reader of the result."""
