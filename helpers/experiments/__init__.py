"""A configuration in, a measured record out: runs, costs, grids, sweeps."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "costs": ["count_parameters"],
        "domain_distance": ["as_distance", "frechet_distance", "log_me", "probe"],
        "single_run": ["RunConfig", "run", "source_accuracy"],
        "steps": ["measure_price"],
        "timing": ["latency_ms"],
    },
)
