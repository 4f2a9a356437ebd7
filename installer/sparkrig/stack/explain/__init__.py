"""The origin of a value, for `explain`. Pure."""
