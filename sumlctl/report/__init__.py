"""Figures and pages."""

PREVIEWS, MAPS = 100, 3  # pairs with films and clips with activation maps in a page
