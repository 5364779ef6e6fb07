"""Everything that touches a video file: probe, read, supervise."""
