"""Desired and observed state -> Plan. Pure: records in, records out."""
