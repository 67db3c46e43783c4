"""A configuration in, a measured record out: runs, costs, grids, sweeps."""
