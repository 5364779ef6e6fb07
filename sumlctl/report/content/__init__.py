"""What a page tells, as plain values: one module per section, none of which draws."""
