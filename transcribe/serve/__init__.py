"""The page's server: results in a folder, recordings in a queue, edits that are kept."""
