"""Readiness of admission webhooks and policies, and refused pods."""
