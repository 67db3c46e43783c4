"""scikit-learn's linear models, as everything here fits them, and how they are fitted fast."""

from typing import Any

from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from threadpoolctl import threadpool_limits

# A decorator. The products inside a linear model are small: threads that share one spend more time
# waiting for each other than they save, and a fit on two takes two to six times as long.
one_blas_thread = threadpool_limits.wrap(limits=1, user_api="blas")


def linear_probe(strength: float = 0.1, steps: int = 300, tol: float = 1e-4) -> Pipeline:
    """Logistic regression on standardised features; a smaller strength holds it back more.

    steps, tol: the most that its solver does, and when it stops before.
    """
    regression = LogisticRegression(C=strength, max_iter=steps, tol=tol)
    return make_pipeline(StandardScaler(), regression)


def prepared(pipeline: Pipeline, inputs: Any) -> tuple[Any, Pipeline]:
    """Do the leading steps that learn nothing: (what they make of the inputs, the other steps).

    Cross-validation then does them once, and not in every fold.
    """
    while isinstance(pipeline[0], FunctionTransformer):
        inputs, pipeline = pipeline[0].transform(inputs), pipeline[1:]
    return inputs, pipeline
