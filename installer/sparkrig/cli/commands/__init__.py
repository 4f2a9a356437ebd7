"""One module for each command: flags, the use case, output."""
