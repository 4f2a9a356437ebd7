"""References to secrets in the stack file. Pure; nothing is resolved here."""
