"""Desired against observed -> Plan. Pure: reads records, returns records, asks nobody."""
