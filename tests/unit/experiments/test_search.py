"""Searches for learning rates and races of seeds: what is asked for next, from what came out."""

import pytest
from test_sweeps import fake, load, toy

from helpers.approaches import APPROACHES
from helpers.experiments import sweeps
from helpers.experiments.grids import ALL, SWEEPS, Block
from helpers.experiments.single_run import RunConfig
from helpers.experiments.sweeps import MOST_TRIALS, RunScore, Search, identity, next_rate

NAN = float("nan")


def block(**changes) -> Block:
    box = {"sizes": (200,), "approaches": ("lora",), "tuning_size": 200}
    return Block("pocket", ("digits",), **(box | changes))


def searched(accuracy, loss=lambda rate: 1.0, fails=(), approach="lora") -> tuple[Search, list]:
    """Try what a search asks for until it asks for nothing more; the rates in that order."""
    (part,) = sweeps.tunings(block(approaches=(approach,)))
    scores, given_up, order = {}, set(), []
    while True:
        found = sweeps.search(part, scores, given_up)
        new = {key: c for key, c in found.trials.items() if key not in {*scores, *given_up}}
        if not new:
            return found, order
        assert found.chosen is None, "a rate is chosen when all trials are known, not before"
        order += [config.lr for config in new.values()]
        for key, config in new.items():
            if config.lr in fails:
                given_up.add(key)
            else:  # on test the best rate is the worst: a choice that peeks at test is found out
                value = accuracy(config.lr)
                scores[key] = RunScore(value, loss(config.lr), 1 - value, 300)


def peak(best: float):
    """Accuracy that falls with the factor between a rate and the best one."""
    return lambda rate: 0.9 - 0.1 * abs(rate / best if rate > best else best / rate) ** 0.2


def test_a_best_rate_inside_ends_the_search():
    found, order = searched(peak(0.003))
    assert order == [0.001, 0.003, 0.01]
    assert (found.chosen, found.at_edge) == (0.003, False)


@pytest.mark.parametrize(
    ("best", "further"),
    [(0.03, [0.03, 0.1]), (0.01, [0.03]), (3e-4, [3e-4, 1e-4]), (0.001, [3e-4])],
)
def test_a_best_rate_at_an_edge_extends_the_search_there(best, further):
    found, order = searched(peak(best))
    assert order == [0.001, 0.003, 0.01, *further]
    assert (found.chosen, found.at_edge) == (best, False)


@pytest.mark.parametrize(("best", "chosen"), [(1e9, 0.3), (1e-9, 3e-5)])
def test_a_search_stops_at_six_and_says_that_it_ended_at_an_edge(best, chosen):
    found, order = searched(peak(best))
    assert len(order) == len(found.trials) == MOST_TRIALS == 6
    assert (found.chosen, found.at_edge) == (chosen, True)


def test_a_strength_is_searched_in_whole_decades():
    found, order = searched(peak(1.0), approach="feature_extraction")
    assert order == [0.001, 0.01, 0.1, 1.0, 10.0] and found.chosen == 1.0


def test_a_failed_trial_counts_as_tried():
    found, order = searched(peak(1e9), fails={0.03})
    assert order == [0.001, 0.003, 0.01, 0.03]
    assert (found.chosen, found.at_edge) == (0.01, False)
    assert searched(peak(1.0), fails={0.001, 0.003, 0.01})[0].chosen is None


def test_ties_go_to_the_lower_loss_and_then_to_the_first_guess():
    assert searched(lambda rate: 0.8, loss=lambda rate: abs(rate - 0.003))[0].chosen == 0.003
    found, order = searched(lambda rate: 0.8)  # such as rates that leave a probe as it is
    assert found.chosen == sorted(order)[1] and not found.at_edge and len(order) == 3
    assert searched(peak(0.003), loss=lambda rate: rate - 1)[0].chosen == 0.003, "accuracy first"


@pytest.mark.parametrize("name", sorted(APPROACHES))
def test_first_trials_lie_on_the_ladder_that_extends_them(name):
    approach = APPROACHES[name]
    for low, middle, high in approach.trials.values():
        assert [next_rate(low, approach.trials_per_decade, 1), middle] == [middle, (
            next_rate(high, approach.trials_per_decade, -1)
        )]  # fmt: skip


def test_rates_are_tried_at_the_largest_tuning_size_that_a_run_reaches():
    several = block(sizes=(50, 200, 1_000, ALL), tuning_size=(200, 1_000))
    parts = {part.size: {q["n_train"] for q in part.questions} for part in sweeps.tunings(several)}
    assert parts == {200: {50, 200}, 1_000: {1_000, 3_500}}
    assert {part.trial(0.01).n_train for part in sweeps.tunings(several)} == {200, 1_000}


def test_rates_may_be_tried_at_fewer_pixels_than_the_runs_have():
    (part,) = sweeps.tunings(block(image_size=224, tuning_side=128))
    trial = part.trial(0.003)
    assert (trial.image_size, trial.seed, trial.n_train) == (128, 0, 200)
    assert {question["image_size"] for question in part.questions} == {224}
    (plain,) = sweeps.tunings(block(image_size=224))
    assert plain.trial(0.003).image_size == 224


# Seeds ---------------------------------------------------------------------------------------

ACCURACIES = {"lora": 0.80, "adapter": 0.79, "full_fine_tuning": 0.60}
ARMS = tuple(ACCURACIES)


def configs_of(made: Block) -> list[RunConfig]:
    asked = [question for group in made.groups() for question in made.questions_of(group)]
    return [RunConfig(**question | {"lr": 0.003}).resolved() for question in asked]


def seeds_asked(made: Block, accuracies=ACCURACIES, n_test=400, size=200) -> dict[str, list[int]]:
    """Seeds that run of each approach at a size, once those first seeds are known."""
    configs = configs_of(made)
    scores = {
        identity(c): RunScore(0.0, NAN, accuracies[c.approach], n_test)
        for c in configs
        if c.seed == 0 and c.approach in accuracies and c.n_train == size
    }
    asked = [c for c in sweeps.raced(made, configs, scores) if c.n_train == size]
    return {name: sorted(c.seed for c in asked if c.approach == name) for name in made.approaches}


def test_further_seeds_run_for_those_near_the_best():
    made = block(approaches=ARMS, always=())
    near, far = [0, 1, 2], [0]
    expected = {"lora": near, "adapter": near, "full_fine_tuning": far}
    assert seeds_asked(made) == expected
    # The standard error of a difference of 0.2 is 0.1 with 36 examples.
    assert seeds_asked(made, n_test=36)["full_fine_tuning"] == near
    assert seeds_asked(made, n_test=1_000_000)["adapter"] == far


def test_nothing_further_runs_before_every_first_seed_is_there():
    made = block(approaches=ARMS, always=())
    for absent in ARMS:
        some = {name: value for name, value in ACCURACIES.items() if name != absent}
        assert seeds_asked(made, some) == dict.fromkeys(ARMS, [0])


def test_claimed_approaches_run_every_seed_at_once():
    made = block(approaches=ARMS, always=("full_fine_tuning",))
    assert seeds_asked(made, {}) == {"lora": [0], "adapter": [0], "full_fine_tuning": [0, 1, 2]}


def test_a_single_seed_stays_single_though_it_is_best():
    made = block(approaches=ARMS, always=ARMS, single=("lora",))
    assert seeds_asked(made)["lora"] == [0]


def test_extra_seeds_run_for_those_near_the_best_where_examples_are_few():
    made = block(approaches=ARMS, always=ARMS, extra_seeds=2, sizes=(200, 1_000))
    assert seeds_asked(made) == {
        "lora": [0, 1, 2, 3, 4],
        "adapter": [0, 1, 2, 3, 4],
        "full_fine_tuning": [0, 1, 2],
    }
    assert seeds_asked(made, size=1_000) == dict.fromkeys(ARMS, [0, 1, 2])


def test_each_situation_has_a_race_of_its_own():
    """What is known of one size moves no seed of another."""
    made = block(approaches=ARMS, always=(), sizes=(200, 1_000))
    configs = configs_of(made)
    scores = {
        identity(c): RunScore(0.0, NAN, ACCURACIES[c.approach], 400)
        for c in configs
        if c.seed == 0 and c.n_train == 200
    }
    asked = sweeps.raced(made, configs, scores)
    assert {c.seed for c in asked if c.n_train == 200} == {0, 1, 2}
    assert {c.seed for c in asked if c.n_train == 1_000} == {0}


def test_arms_that_differ_in_their_settings_race_apart():
    made = block(approaches=("lora",), settings=("rank=2", "rank=8"), always=())
    configs = configs_of(made)
    test = {"rank=2": 0.5, "rank=8": 0.9}
    scores = {
        identity(c): RunScore(0.0, NAN, test[c.settings], 400) for c in configs if c.seed == 0
    }
    asked = sweeps.raced(made, configs, scores)
    assert {(c.settings, c.seed) for c in asked} == {
        ("rank=2", 0), ("rank=8", 0), ("rank=8", 1), ("rank=8", 2)
    }  # fmt: skip


def test_a_sweep_extends_races_and_ends(monkeypatch, tmp_path):
    """From nothing to whole: four trials of each, first seeds, then those of the better one."""
    path = tmp_path / "runs.csv"
    monkeypatch.setitem(SWEEPS, "toy", toy(sizes=(50,), always=()))

    def measured(config):
        better = 0.3 if config.approach == "lora" else 0.0
        row = fake(config, best=0.01)
        return row | {"test_accuracy": row["test_accuracy"] + better, "n_test": 400}

    outcome = sweeps.run_sweep("toy", path=path, run=measured)
    assert (outcome.done, outcome.failed, outcome.left) == (8 + 2 + 2, [], 0)
    runs = load(path)
    assert sorted(set(runs[runs["sweep"] == "toy/tuning"]["lr"])) == [0.001, 0.003, 0.01, 0.03]
    rows = runs[runs["sweep"] == "toy"]
    assert set(rows["lr"]) == {0.01}
    assert rows.groupby("approach")["seed"].agg(sorted).to_dict() == {
        "adapter": [0],
        "lora": [0, 1, 2],
    }
    assert sweeps.missing("toy", runs) == [] == sweeps.missing("toy/tuning", runs)


def test_a_run_that_waits_for_its_rate_is_declared_as_missing(monkeypatch, tmp_path):
    monkeypatch.setitem(SWEEPS, "toy", toy(always=("lora",)))
    waiting = sweeps.missing("toy", load(tmp_path / "none.csv"))
    assert {config.lr for config in waiting} == {None}
    seeds = {name: {c.seed for c in waiting if c.approach == name} for name in ("lora", "adapter")}
    assert seeds == {"lora": {0, 1, 2}, "adapter": {0}}
