"""Use cases: one module for each command, without flags and output."""
