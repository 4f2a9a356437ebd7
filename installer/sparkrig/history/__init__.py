"""What the cluster remembers of a stack: revisions as Secrets, the lock as a Lease."""
