"""Secrets: read from where they are at the last moment, applied, and forgotten."""
