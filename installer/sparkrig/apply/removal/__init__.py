"""What a `down` deletes, keeps and leaves behind."""
