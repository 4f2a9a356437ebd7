"""Checks of a deployed stack: `verify`, and the gate checks after every change."""
