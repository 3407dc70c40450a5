"""Golden questions and data sets: how good the search is, in figures."""
