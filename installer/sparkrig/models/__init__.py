"""Records that the packages share, without behavior beyond reading themselves."""
