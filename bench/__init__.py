"""sparkrig beside the tools people use, on the same cluster, in one run: `make bench`."""
