"""Revisions (Secrets) and the lock (a Lease) of a stack, stored in the cluster."""
