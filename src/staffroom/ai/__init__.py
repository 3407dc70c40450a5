"""Matches become prose: LLMService, its writers and the prompt."""
