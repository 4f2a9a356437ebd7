"""Helm processes. The only use of pyhelm3."""
