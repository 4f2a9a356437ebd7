"""Folders of components -> Catalog. Pure but for reading the files of those folders."""
