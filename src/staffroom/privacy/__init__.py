"""What may leave without saying who it is about."""
