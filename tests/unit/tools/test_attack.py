"""A small part of each attack on what is stored; `make attack` strikes hundreds of times."""

import os

import pytest

from tools.attack import attack

pytestmark = pytest.mark.skipif(os.name != "posix", reason="forks and signals")


@pytest.mark.parametrize("name", attack.attacks())
def test_no_fault_is_found(name):
    module = attack.attacks()[name]
    assert attack.strike(module, 0, module.SMALL) == []


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
