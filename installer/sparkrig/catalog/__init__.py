"""Component folders -> Catalog. Pure except for reading the files of those folders."""
