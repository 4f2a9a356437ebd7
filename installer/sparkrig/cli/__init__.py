"""The command line: flags, confirmation, exit codes."""
