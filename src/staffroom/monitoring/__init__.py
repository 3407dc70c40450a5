"""Metrics, error tracking and logs: what the rooms report, without knowing who listens."""
