"""Notes → what they tell of beats and keys, with what somebody knows already."""

from __future__ import annotations
