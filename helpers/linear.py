"""How scikit-learn's linear models are fitted fast."""

from __future__ import annotations

from threadpoolctl import threadpool_limits

# A decorator. The products inside a linear model are small: threads that share one spend more time
# waiting for each other than they save, and a fit on two takes two to six times as long.
one_blas_thread = threadpool_limits.wrap(limits=1, user_api="blas")
