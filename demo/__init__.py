"""A demonstration: the main job on one machine, in less than a minute. `python -m demo`, or `make demo`."""
