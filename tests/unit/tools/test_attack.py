"""A small part of each attack on what is stored; `make attack` strikes hundreds of times."""

import os
from random import Random

import pytest

from tools.attack import attack, malformed_data, malformed_inputs

pytestmark = pytest.mark.skipif(os.name != "posix", reason="forks and signals")


@pytest.mark.parametrize("name", attack.attacks())
def test_no_fault_is_found(name):
    module = attack.attacks()[name]
    assert attack.strike(module, 0, module.SMALL) == []


@pytest.mark.parametrize(
    ("writer", "draw"),
    [("odd_texts", "7 17"), ("odd_pictures", "7 96")],
    ids=["a fold without a word", "most pictures blank"],
)
def test_what_once_was_met_badly(writer, draw, tmp_path, monkeypatch):
    monkeypatch.setenv("TRANSFER_CACHE", str(tmp_path / "cache"))
    (tmp_path / "data").mkdir()
    path = getattr(malformed_inputs, writer)(tmp_path / "data", Random(draw))
    assert malformed_data.complaint(path) == ""


def test_the_command_counts_faults_and_says_some(monkeypatch, capsys):
    module = attack.attacks()["library_replaces"]
    monkeypatch.setattr(module, "attack", lambda seed, size, place: [f"{n}" for n in range(size)])
    assert attack.main(["library_replaces", "--size", "library_replaces=7"]) == 1
    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith("library_replaces: 7 strikes, 7 faults") and len(told) == 6


@pytest.mark.parametrize("asked", [["nothing"], ["--size", "nothing=3"]])
def test_an_unknown_attack_is_named(asked, capsys):
    with pytest.raises(SystemExit):
        attack.main(asked)
    assert "no attack 'nothing'" in capsys.readouterr().err
