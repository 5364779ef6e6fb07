"""From narration vectors to pseudo-pairs and their similarity statistics."""
