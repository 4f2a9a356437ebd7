"""Secrets: read from their sources at the last moment, applied, and discarded."""
