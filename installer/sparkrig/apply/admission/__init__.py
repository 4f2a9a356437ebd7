"""Webhooks, policies and refusals: what stops an object on its way in."""
