"""Distance scores: against formulas and brute force, and in the order that they promise."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.linear_model import BayesianRidge
from threadpoolctl import threadpool_info

from helpers.errors import UserError
from helpers.experiments.domain_distance import frechet_distance, log_me, probe
from helpers.training.linear import one_blas_thread


@pytest.fixture
def clouds():
    rng = np.random.default_rng(0)
    labels = np.arange(200) % 2
    apart = rng.normal(size=(200, 8)) + 3 * labels[:, None]
    return labels, apart, rng.normal(size=(200, 8))


def test_a_probe_tells_separable_from_noise(clouds):
    labels, apart, noise = clouds
    good, bad = probe(apart, labels), probe(noise, labels)
    assert good.above_chance > 0.9 and good.low > bad.high
    assert bad.low < 0.55 < bad.high and bad.chance == 0.5
    assert good.low < good.accuracy < good.high or good.accuracy == 1


def test_probes_need_two_examples_of_two_classes():
    with pytest.raises(UserError, match="two classes"):
        probe(np.zeros((4, 2)), np.zeros(4, int))
    with pytest.raises(UserError, match="single example"):
        probe(np.zeros((4, 2)), np.array([0, 0, 0, 1]))


def test_frechet_distance_of_gaussians_is_its_formula(clouds):
    _, _, noise = clouds
    assert frechet_distance(noise, noise) == pytest.approx(0, abs=1e-6)
    scale2 = noise.var(0).sum()
    assert frechet_distance(noise, noise + 2) == pytest.approx(8 * 4 / scale2, rel=1e-6)
    # Twice as wide: each variance v becomes 4v, and (√v − 2√v)² = v is left per direction.
    centred = noise - noise.mean(0)
    expected = np.trace(np.cov(centred, rowvar=False)) / scale2
    assert frechet_distance(centred, 2 * centred) == pytest.approx(expected, rel=1e-6)
    # Fewer examples than directions: the covariances are singular, which nothing may warn of.
    few = frechet_distance(noise, np.r_[noise[:4], noise[:4]])
    assert 0 < few < 2
    with pytest.raises(UserError, match="width"):
        frechet_distance(noise, noise[:, :3])


def test_log_me_ranks_features_by_what_they_tell(clouds):
    labels, apart, noise = clouds
    assert log_me(apart, labels) > log_me(0.5 * apart + noise, labels) > log_me(noise, labels)


def test_log_me_is_the_maximised_evidence(clouds):
    """Against the Gaussian marginal likelihood at scikit-learn's own optimum."""
    labels, apart, _ = clouds
    ridge = BayesianRidge(
        fit_intercept=False, alpha_1=0, alpha_2=0, lambda_1=0, lambda_2=0, max_iter=1000, tol=1e-9
    )
    evidence = []
    for label in (0, 1):
        y = (labels == label).astype(float)
        ridge.fit(apart, y)
        covariance = apart @ apart.T / ridge.lambda_ + np.eye(len(y)) / ridge.alpha_
        evidence.append(multivariate_normal(np.zeros(len(y)), covariance).logpdf(y) / len(y))
    assert log_me(apart, labels) == pytest.approx(np.mean(evidence), abs=1e-3)


def test_linear_models_get_one_thread_and_give_the_others_back():
    def threads():
        return {i["num_threads"] for i in threadpool_info() if i["user_api"] == "blas"}

    before = threads()
    assert one_blas_thread(threads)() == {1}
    assert threads() == before
