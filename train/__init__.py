"""The programs that train what `transcribe` uses; they import it, never the other way round."""
