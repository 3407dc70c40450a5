"""Staffroom: a teacher's question answered from a vetted library, with its sources."""
