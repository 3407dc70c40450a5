"""VectorCache: each text is embedded once."""
