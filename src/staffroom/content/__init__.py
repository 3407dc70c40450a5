"""ContentManager: scenarios come in, are checked, and go out again."""
