"""Checks of rendered objects without a cluster. Pure."""
