"""YAML documents with positions, Helm's merge, schema checks. Pure: no cluster, no Helm."""
