"""Helm: the only use of pyhelm3, chart sources, chart archives."""
