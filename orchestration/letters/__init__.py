"""Letters: who gets which, what is in them, how they leave, and what was sent."""
