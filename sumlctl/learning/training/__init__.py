"""The training loop and what surrounds it: devices, optimiser, log, savepoints, interrupts."""
