"""Search across views and by text, with what a run has learned."""
