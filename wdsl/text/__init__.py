"""Texts, what is said about them, and how the files are read that they name."""
