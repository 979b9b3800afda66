"""Thin services: they translate a request into a call of production or reports, and back."""
