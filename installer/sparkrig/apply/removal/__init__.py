"""Objects that `down` deletes, retains and leaves behind."""
