"""From narrations to unit vectors."""
