"""From scores to relevance: fitted on golden questions, one scale for every model. Pure."""
