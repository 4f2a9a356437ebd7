"""One module for each command: its flags, the call of the use case, its output."""
