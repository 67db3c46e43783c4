"""Answers to notebook 14: your own data."""

from scipy.stats import binomtest

from helpers.lessons.exercises.grading import Exercise, number

ANSWERS = {
    "14.1": Exercise(
        number(0.5, within=0.01),
        hints=("What is one photo of 200, as a share?", "One over 200, times 100."),
        praise="One copy is little; a tenth of the split would hide a whole approach's gain.",
    ),
    "14.2": Exercise(
        number(binomtest(12, 16).pvalue, within=0.002),  # exact, two-sided
        hints=(
            "Examples on which both agree say nothing. How many are left?",
            "Of 16 disagreements, 12 on one side: a fair coin, two-sided.",
        ),
        praise="Three times as many wins, and the examples still can't tell.",
    ),
    "14.3": Exercise(
        number(0.5, within=0.01),
        hints=("How far is it from chance, and how far could it be?", "0.30 of 0.60."),
        praise="That is `above_chance`; near 0 a domain is too distant.",
    ),
}
