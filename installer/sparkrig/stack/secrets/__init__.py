"""References to secrets in the stack file. Pure; resolves none."""
