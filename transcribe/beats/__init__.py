"""When the beats and bars are."""
