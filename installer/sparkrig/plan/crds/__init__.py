"""Effects of a new CRD version on existing custom resources. Pure."""
