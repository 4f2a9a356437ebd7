"""What a new version of a CRD means. Pure."""
