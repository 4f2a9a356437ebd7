"""The command line: flags, confirmation, exit codes; one file per command, no logic."""
