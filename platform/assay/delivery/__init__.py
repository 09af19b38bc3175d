"""Scores go back to the tools that people work in: only what changed, only the latest, each once."""
