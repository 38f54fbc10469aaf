"""From notes and beats to what a musician reads."""
