"""What people open: files in many formats, made from one Transcription."""
