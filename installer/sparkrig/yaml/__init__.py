"""YAML in and out: trees with positions, Helm's merge, schema checks. Pure: no cluster, no Helm."""
