"""Video backbones: a module with `build` is one."""
