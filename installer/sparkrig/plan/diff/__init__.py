"""How documents, objects and revisions differ. Pure."""
