"""From distances to relevance."""
