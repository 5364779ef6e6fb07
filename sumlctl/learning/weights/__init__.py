"""Weights of other programs, in our names and expecting RGB."""
