"""Records that the rooms share. They hold no behavior beyond reading themselves."""
