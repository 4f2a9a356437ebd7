"""Plan -> ApplyResult: a bounded parallel executor for a graph of operations, and the operations."""
