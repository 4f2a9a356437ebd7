"""Turns records into text and JSON. It reads no cluster and no file; only the progress displays write."""
