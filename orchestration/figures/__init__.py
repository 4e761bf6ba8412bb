"""Figures and sentences of one publication for letters, pages and the console; read from published files only."""
