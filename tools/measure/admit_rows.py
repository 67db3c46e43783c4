"""Let everything compare the rows that are recorded by now: data/results/admitted_until.txt.

    python -m tools.measure.admit_rows

Rows may be added to data/results/runs.csv at any time. Figures, rules and verdicts read them once
they are admitted, and what is saved of these is then made anew: `make results`, `make notebooks`.
"""

from helpers.results import runs as records


def main() -> None:
    """Admit, and print up to which moment."""
    print(f"rows are compared up to {records.admit_all()}")


if __name__ == "__main__":
    main()
