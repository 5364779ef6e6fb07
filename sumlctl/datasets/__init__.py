"""From annotation files to the videos and clips tables."""
