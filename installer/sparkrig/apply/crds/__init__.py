"""Applying, reviewing and migrating CRDs, and transferring their ownership."""
