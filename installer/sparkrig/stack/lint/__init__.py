"""Checks of values beyond their schema. Pure."""
