"""What is wrong with values beyond their schema. Pure."""
