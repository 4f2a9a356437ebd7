"""Plan -> ApplyResult: a bounded parallel executor over a graph, and what each operation does."""
