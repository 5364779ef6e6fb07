"""Class activation maps of clips, beside another run's and the paired clip's (Fig. 4)."""
