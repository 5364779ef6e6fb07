"""Videos kept a second time, small and with few frames to decode for any window of them.

`spans` says which stretches of a video are kept, `encode` makes the file of one, `build` makes all
that are missing, `manifest` knows what there is, `stored` reads frames from it.
"""
