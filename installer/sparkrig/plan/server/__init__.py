"""Evaluation of dry-run responses and webhook probes. Pure."""
