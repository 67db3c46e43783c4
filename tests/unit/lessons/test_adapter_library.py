"""The library: files come back to the bit, damage is refused, many tasks share one base."""

import copy
import os
import shutil
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import torch as safetensors
from tiny import tiny_task

from helpers.approaches import Fitted, get_approach, merge_lora, parse_options
from helpers.backbones import clone, load_backbone, weights_hash
from helpers.errors import UserError
from helpers.lessons.adapter_library import task_file
from helpers.lessons.adapter_library.library import Library
from helpers.training.checkpoints import task_state
from helpers.training.examples import Examples
from helpers.training.loop import History, moving_names, predict

SHARED = ("feature_extraction", "lora", "adapter")
COPIES = ("partial_fine_tuning", "full_fine_tuning", "lp_ft", "from_scratch")
SIZES = {"pocket": 28, "efficientnet_lite0": 32, "minilm": 16}


@pytest.fixture(scope="module")
def bases():
    """The three backbones; `minilm` with its weights, the others with drawn ones."""
    return {
        name: load_backbone(name, pretrained=name == "minilm", size=size)
        for name, size in SIZES.items()
    }


@pytest.fixture(scope="module")
def pocket(bases):
    return bases["pocket"]


@pytest.fixture
def shelf(tmp_path, pocket):
    """A library of three small tasks."""
    library = Library(tmp_path, pocket)
    for seed, name in enumerate(SHARED):
        library.add(tuned(pocket, name, seed=seed), name, scores={"test_accuracy": 0.5 + seed / 10})
    return library


def tuned(base, approach, n_classes=3, seed=0, settings="", noise=0.05) -> Fitted:
    """A model whose every moving tensor was pushed at random, as training would have."""
    chosen = get_approach(approach)
    model = chosen.build(clone(base), n_classes, parse_options(chosen.options, settings))
    generator = torch.Generator().manual_seed(seed)
    state = model.state_dict()
    for key in moving_names(model):
        if state[key].is_floating_point():
            push = 1 + noise * torch.rand(state[key].shape, generator=generator)
            state[key].mul_(push).add_(noise * torch.rand(state[key].shape, generator=generator))
    model.start = 0
    return Fitted(chosen, model.eval(), History())


def raw(base, n=9) -> torch.Tensor:
    """Raw inputs of a base: noise, as token ids some of them short."""
    rng = np.random.default_rng(0)
    if base.modality == "text":
        ids = rng.integers(1000, 2000, (n, base.recipe.size), dtype=np.int32)
        ids[::2, 8:] = 0
        return torch.from_numpy(ids)
    side = base.recipe.size
    return torch.from_numpy(rng.integers(0, 256, (n, side, side, 1), dtype=np.uint8))


@torch.inference_mode()
def answers(model, batch) -> torch.Tensor:
    return model(batch)


# Round trips ---------------------------------------------------------------------------------


@pytest.mark.parametrize("backbone", SIZES)
def test_each_approach_comes_back_to_the_bit_and_swaps(backbone, bases, tmp_path):
    base = bases[backbone]
    before = {key: value.clone() for key, value in base.state_dict().items()}
    # A copy of MiniLM is 90 MB; that copies come back is shown on the other two.
    copies = {"pocket": COPIES, "efficientnet_lite0": ("full_fine_tuning",), "minilm": ()}
    names = SHARED + copies[backbone]
    library, batch, wanted = Library(tmp_path, base), raw(base), {}
    for seed, name in enumerate(names):
        fitted = tuned(base, name, 2 + seed, seed)
        wanted[name] = answers(fitted.model, batch)
        library.add(fitted, name)
    fresh = Library(tmp_path, base)  # nothing but files is shared with the library that wrote
    for name in [*names, *reversed(names)]:
        assert torch.equal(answers(fresh.use(name), batch), wanted[name]), name
    assert not torch.equal(wanted["lora"], wanted["adapter"])
    assert all(torch.equal(before[key], value) for key, value in base.state_dict().items())
    assert not any(module._forward_hooks for module in base.modules())


@pytest.mark.parametrize("backbone", SIZES)
def test_merged_is_unmerged(backbone, bases, tmp_path):
    base, batch = bases[backbone], raw(bases[backbone])
    library, fitted = Library(tmp_path, base), tuned(bases[backbone], "lora")
    library.add(fitted, "digits")
    merged = library.merge("digits")
    live = answers(library.use("digits"), batch)
    assert torch.allclose(answers(merged, batch), live, atol=1e-5, rtol=1e-4)
    usual = merge_lora(copy.deepcopy(fitted.model))
    assert torch.allclose(answers(merged, batch), answers(usual, batch), atol=1e-6, rtol=1e-5)
    assert weights_hash(base.state_dict()) == library.base_hash


def test_what_cannot_be_merged_says_so_and_copies_can(tmp_path, pocket):
    library, batch = Library(tmp_path, pocket), raw(pocket)
    library.add(tuned(pocket, "adapter"), "a")
    with pytest.raises(UserError, match="ReLU|can't be merged"):
        library.merge("a")
    for name in ("feature_extraction", "partial_fine_tuning"):
        library.add(tuned(pocket, name), name)
        assert torch.equal(answers(library.merge(name), batch), answers(library.use(name), batch))


def test_a_really_trained_task_keeps_its_accuracy(tmp_path, pocket):
    task, library = tiny_task(64), Library(tmp_path, pocket)
    examples = Examples.raw(task.test.inputs, task.test.labels)
    for name in ("lora", "feature_extraction"):
        approach = get_approach(name)
        config = approach.config("image", 64, epochs=3, batch_size=16, lr=1e-2)
        fitted = approach.fit(clone(pocket), task, config)
        kept = fitted.accuracy(task.test)
        entry = library.add(fitted, replace(task, name=name), scores={"test_accuracy": kept})
        assert entry.classes == task.classes
        right = predict(library.use(name), examples).argmax(1).numpy() == task.test.labels
        assert (
            float(torch.from_numpy(right).float().mean())
            == library.entry(name).scores["test_accuracy"]
        )


# The shelf -----------------------------------------------------------------------------------


def test_the_table_says_what_is_there(shelf, pocket):
    table = shelf.list().set_index("task")
    assert list(table.index) == sorted(SHARED)
    assert table.loc["lora", "settings"] == "rank=8;alpha=16"
    assert table.loc["lora", "test_accuracy"] == 0.6
    assert set(table["base"]) == {weights_hash(pocket.state_dict())} and set(table["problem"]) == {
        ""
    }
    assert (
        set(table["schema"]) == {task_file.SCHEMA} and table["created"].str.startswith("20").all()
    )
    size = (shelf.folder / "lora.safetensors").stat().st_size
    assert table.loc["lora", "kB"] == size / 1e3
    assert Library(shelf.folder / "empty", pocket).list().empty


def test_a_new_version_is_served_and_asked_for(shelf, pocket):
    batch = raw(pocket)
    old = answers(shelf.use("lora"), batch)
    newer = tuned(pocket, "lora", seed=9)
    with pytest.raises(UserError, match="replace=True"):
        shelf.add(newer, "lora")
    assert torch.equal(answers(shelf.use("lora"), batch), old)
    first = shelf.entry("lora").digest
    Library(shelf.folder, pocket).add(newer, "lora", replace=True)  # another process
    assert torch.equal(answers(shelf.use("lora"), batch), answers(newer.model, batch))
    assert shelf.entry("lora").digest != first


def test_what_is_removed_is_gone(shelf):
    shelf.use("lora")
    shelf.remove("lora")
    assert shelf.names() == ["adapter", "feature_extraction"]
    for ask in (shelf.use, shelf.load, shelf.merge, shelf.entry, shelf.remove):
        with pytest.raises(UserError, match="'lora'"):
            ask("lora")
    with pytest.raises(UserError, match="did you mean 'adapter'"):
        shelf.use("adaptr")


def test_memory_holds_one_base_and_small_parts(bases, tmp_path):
    base = bases["minilm"]
    library = Library(tmp_path, base)
    for task in range(20):
        library.add(tuned(base, "lora", 8, task), f"task-{task}")
        library.use(f"task-{task}")
    small = [tensor for plug in library.server.plugs.values() for tensor in plug.state.values()]
    assert len(library.server.plugs) == 20
    whole = sum(tensor.nbytes for tensor in base.state_dict().values())
    assert sum(tensor.nbytes for tensor in small) <= 0.5 * whole
    ours = {tensor.data_ptr() for tensor in library.server.base.state_dict().values()}
    assert ours == {tensor.data_ptr() for tensor in base.state_dict().values()}


def test_training_mode_moves_no_statistics(shelf, pocket):
    model = shelf.use("lora").train()
    model(raw(pocket))
    assert not any(module.training for module in model.modules())
    assert weights_hash(pocket.state_dict()) == shelf.base_hash


# Refusals ------------------------------------------------------------------------------------


def one_sentence(error) -> bool:
    text = str(error.value)
    return "\n" not in text and len(text) < 400


def test_every_altered_byte_and_every_cut_is_refused(shelf):
    path = shelf.folder / "feature_extraction.safetensors"
    whole = path.read_bytes()
    for place in range(len(whole)):
        broken = bytearray(whole)
        broken[place] ^= 1 << (place % 8)
        path.write_bytes(broken)
        with pytest.raises(UserError) as error:
            shelf.load("feature_extraction")
        assert one_sentence(error)
        path.write_bytes(whole[:place])
        with pytest.raises(UserError, match="damaged"):
            shelf.load("feature_extraction")
    path.write_bytes(whole + b"\0")
    with pytest.raises(UserError, match="damaged"):
        shelf.load("feature_extraction")
    path.write_bytes(whole)
    assert len(shelf.load("feature_extraction").head) == 2
    path.write_bytes(b"")
    assert "damaged" in shelf.list().set_index("task").loc["feature_extraction", "problem"]


@pytest.mark.parametrize("name", ["lora", "adapter"])
def test_altered_tensors_are_refused(shelf, name):
    path = shelf.folder / f"{name}.safetensors"
    whole = path.read_bytes()
    for place in np.linspace(0, len(whole) - 1, 40).astype(int):
        broken = bytearray(whole)
        broken[place] ^= 255
        path.write_bytes(broken)
        with pytest.raises(UserError):
            shelf.load(name)
        assert name in shelf.names() and len(shelf.list()) == 3


def test_an_adapter_of_another_base_is_refused_and_a_full_copy_is_not(tmp_path, pocket):
    old, new = pocket, load_backbone("pocket", pretrained=False, seed=7)
    library = Library(tmp_path, old)
    names = (*SHARED, "partial_fine_tuning", "full_fine_tuning")
    for name in names:
        library.add(tuned(old, name), name)
    batch, upgraded = raw(old), Library(tmp_path, new)
    for name in names[:-1]:
        with pytest.raises(UserError, match="another base") as error:
            upgraded.use(name)
        assert one_sentence(error)
    wanted = answers(library.use("full_fine_tuning"), batch)
    assert torch.equal(answers(upgraded.use("full_fine_tuning"), batch), wanted)
    problems = upgraded.list().set_index("task")["problem"]
    assert problems["full_fine_tuning"] == "" and problems["lora"].startswith(str(tmp_path))


def test_a_copy_of_another_network_or_input_size_is_refused(bases, tmp_path):
    lite0 = bases["efficientnet_lite0"]
    library = Library(tmp_path, lite0)
    library.add(tuned(lite0, "full_fine_tuning"), "whole")
    with pytest.raises(UserError, match="another base"):
        Library(tmp_path, bases["pocket"]).use("whole")
    other = clone(lite0)
    other.recipe = replace(other.recipe, size=64)
    with pytest.raises(UserError, match="size=32"):
        Library(tmp_path, other).use("whole")


def test_a_model_trained_elsewhere_is_not_taken_in(tmp_path, pocket):
    library, other = Library(tmp_path, pocket), load_backbone("pocket", pretrained=False, seed=7)
    for name in (*SHARED, "partial_fine_tuning"):
        with pytest.raises(UserError, match="another base"):
            library.add(tuned(other, name), "x")
    merged = tuned(pocket, "lora")
    merge_lora(merged.model)
    with pytest.raises(UserError, match="another base"):
        library.add(merged, "x")
    task, classical = tiny_task(), get_approach("classical")
    fitted = classical.fit(clone(pocket), task, classical.config("image", 64))
    with pytest.raises(UserError, match="no base to share"):
        library.add(fitted, "x")
    assert not library.names()


@pytest.mark.parametrize("approach", (*SHARED, "partial_fine_tuning"))
def test_a_rightly_signed_file_can_not_talk_itself_out_of_the_base_check(
    approach, tmp_path, pocket
):
    library = Library(tmp_path, pocket)
    library.add(tuned(pocket, approach), "task")
    path = tmp_path / "task.safetensors"
    for base in ("0" * 16, "", "null"):
        forged(path, whole=True, base=base)
        for read in (library.load, library.use, library.merge):
            with pytest.raises(UserError, match="another base"):
                read("task")


@pytest.mark.parametrize("read", ["load", "use", "entry", "merge", "list"])
def test_a_read_beside_a_replace_finds_one_of_both(read, tmp_path, pocket, monkeypatch):
    """The file changes before and after each read of it, and is of another size each time."""
    library, other = Library(tmp_path, pocket), Library(tmp_path, pocket)
    library.add(tuned(pocket, "lora", 2), "task")
    made, real = [tuned(pocket, "lora", 2 + number) for number in range(4)], Path.open

    def opened(path, *how, **also):
        if path.suffix == ".safetensors" and made:
            other.add(made.pop(), "task", replace=True)
        handle = real(path, *how, **also)
        if path.suffix == ".safetensors" and made:
            other.add(made.pop(), "task", replace=True)
        return handle

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", opened)
        found = getattr(library, read)(*([] if read == "list" else ["task"]))
    assert len(made) < 4
    assert read != "list" or list(found["problem"]) == [""]
    assert len(library.load("task").head[1]) == len(other.load("task").head[1])


def test_a_load_beside_a_removal_is_called_missing_and_not_damaged(shelf, monkeypatch):
    real = Path.read_bytes

    def read_bytes(path):
        path.unlink(missing_ok=True)
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    for read in (shelf.load, shelf.use, shelf.merge):
        path = shelf.folder / "lora.safetensors"
        whole = real(path)
        with pytest.raises(UserError, match="was removed"):
            read("lora")
        path.write_bytes(whole)


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "x" * 101, "a b", None, "a\n"])
def test_names_that_are_no_files_are_refused(name, tmp_path, pocket):
    with pytest.raises(UserError, match="can't name"):
        Library(tmp_path, pocket).add(tuned(pocket, "feature_extraction"), name)


def forged(path, change_state=None, **changes):
    """Write a file anew, rightly signed, with another description or other tensors."""
    entry, state = task_file.read(path)
    if change_state:
        state = change_state(state)
    task_file.write(path, replace(entry, **changes), state, overwrite=True)


def nowhere():
    """An update of a layer that no base has."""
    site = "backbone.stages.9"
    return {f"{site}.A": torch.zeros(8, 3), f"{site}.B": torch.zeros(3, 8)}


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda s: {k: v for k, v in s.items() if k != "head.bias"}, "lack head.bias"),
        (lambda s: {k: v for k, v in s.items() if not k.endswith("conv1.B")}, "lack .*conv1.B"),
        (lambda s: s | {"head.weight": s["head.weight"][:, :-1].contiguous()}, "features"),
        (lambda s: s | {"head.bias": s["head.bias"][:-1].contiguous()}, "head"),
        (lambda s: s | {"backbone.stages.1.conv1.A": torch.zeros(8, 3, 3, 3)}, "stages.1.conv1"),
        (lambda s: s | {"backbone.stages.1.conv1.B": torch.zeros(24, 7, 1, 1)}, "stages.1.conv1"),
        (lambda s: s | nowhere(), "stages.9"),
        (lambda s: s | {"backbone.stages.0.0.weight": torch.zeros(1)}, "stages.0.0.weight"),
    ],
)  # fmt: skip
def test_wrong_shapes_are_refused(shelf, change, match):
    forged(shelf.folder / "lora.safetensors", change)
    with pytest.raises(UserError, match=match) as error:
        shelf.use("lora")
    assert one_sentence(error)


def test_wrong_adapters_schemas_names_and_classes_are_refused(shelf):
    path = shelf.folder / "adapter.safetensors"
    key = "backbone.stages.1.adapter.up.bias"
    whole = path.read_bytes()
    forged(path, lambda state: state | {key: torch.zeros(7)})
    with pytest.raises(UserError, match="stages.1"):
        shelf.use("adapter")
    path.write_bytes(whole)
    forged(path, classes=("one", "two"))
    with pytest.raises(UserError, match="names 2 classes"):
        shelf.use("adapter")
    path.write_bytes(whole)
    shutil.copy(path, shelf.folder / "lora.safetensors")
    with pytest.raises(UserError, match="holds the task 'adapter'"):
        shelf.use("lora")
    entry, state = task_file.read(path)
    data = safetensors.save(state, task_file._metadata(replace(entry, schema=2)))
    path.write_bytes(data)
    with pytest.raises(UserError, match="schema 2"):
        shelf.use("adapter")
    path.write_bytes(safetensors.save(state))  # a plain file without a description
    with pytest.raises(UserError, match="damaged"):
        shelf.use("adapter")


def test_a_server_that_failed_answers_as_before(shelf, pocket):
    before = answers(shelf.use("lora"), raw(pocket))
    with pytest.raises((RuntimeError, ValueError)):
        shelf.server(torch.zeros(2, 3, dtype=torch.uint8))
    assert torch.equal(answers(shelf.use("lora"), raw(pocket)), before)


# Files of 16 bits ----------------------------------------------------------------------------


@pytest.mark.parametrize("approach", SHARED)
def test_a_file_of_16_bits_is_half_as_large_and_exact_to_its_rounding(approach, bases, tmp_path):
    """What is served is the trained model with its tensors rounded, to the bit."""
    base = bases["minilm"]
    fitted, library, batch = tuned(base, approach), Library(tmp_path, base), raw(base)
    library.add(fitted, "wide")
    entry = library.add(fitted, "narrow", bits=16)
    sizes = {name: (tmp_path / f"{name}.safetensors").stat().st_size for name in library.names()}
    firsts = [name for name in library.load("wide").state if name.endswith((".A", ".down.weight"))]
    tensors = len(firsts) * 2 + 2
    assert sizes["narrow"] < sizes["wide"] / 2 + 120 * tensors + 800  # names don't shrink
    assert entry.bits == 16 and library.list().set_index("task").loc["wide", "bits"] == 32
    rounded = copy.deepcopy(fitted.model)
    state = {k: v.half().float() for k, v in task_state(rounded).items()}
    rounded.load_state_dict(state, strict=False)
    wanted = answers(rounded, batch)
    assert torch.equal(answers(library.use("narrow"), batch), wanted)
    full = answers(fitted.model, batch)
    assert torch.allclose(wanted, full, atol=5e-3 * float(full.abs().max()))
    assert torch.equal(full, answers(library.use("wide"), batch))
    again = Fitted(fitted.approach, rounded, History())  # rounding twice is rounding once
    library.add(again, "again", bits=16)
    assert torch.equal(answers(library.use("again"), batch), wanted)
    if approach == "lora":
        merged = answers(library.merge("narrow"), batch)
        assert torch.allclose(merged, wanted, atol=1e-5, rtol=1e-4)
    assert all(tensor.dtype == torch.float32 for tensor in library.load("narrow").state.values())


def test_minilms_task_file_is_below_a_megabyte_and_eighty_times_below_a_copy(bases, tmp_path):
    base = bases["minilm"]
    library = Library(tmp_path, base)
    library.add(tuned(base, "lora", n_classes=20), "task", bits=16)
    library.add(tuned(base, "full_fine_tuning", n_classes=20), "copy")
    sizes = {name: (tmp_path / f"{name}.safetensors").stat().st_size for name in library.names()}
    assert sizes["task"] <= 1e6
    assert sizes["copy"] >= 80 * sizes["task"]


def test_values_beyond_16_bits_and_other_widths_are_refused(tmp_path, pocket):
    fitted, library = tuned(pocket, "lora"), Library(tmp_path, pocket)
    with pytest.raises(UserError, match="16 or 32 bits, not 8"):
        library.add(fitted, "x", bits=8)
    with torch.no_grad():
        fitted.model.head.bias[0] = 1e5
    with pytest.raises(UserError, match=r"head\.bias of the task 'x' .* bits=32") as error:
        library.add(fitted, "x", bits=16)
    assert one_sentence(error) and not library.names()
    library.add(fitted, "x")
    assert answers(library.use("x"), raw(pocket)).isfinite().all()


# Stacks --------------------------------------------------------------------------------------


def test_concurrent_adds_lose_nothing(tmp_path, pocket):
    models = [tuned(pocket, "feature_extraction", seed=seed) for seed in range(8)]
    failures = []

    def add(seed):
        try:
            library = Library(tmp_path, pocket)
            library.add(models[seed], f"task-{seed}")
            library.add(models[seed], "latest", replace=True)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=add, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    library, batch = Library(tmp_path, pocket), raw(pocket)
    assert not failures and len(library.names()) == 9
    for seed, fitted in enumerate(models):
        assert torch.equal(
            answers(library.use(f"task-{seed}"), batch), answers(fitted.model, batch)
        )
    assert len(library.load("latest").head) == 2
    assert not list(tmp_path.glob("*.partial"))


KILLED = """
import os, signal, sys
from pathlib import Path
from dataclasses import replace
from helpers.lessons.adapter_library import task_file as task_files
path = Path(sys.argv[1])
entry, state = task_files.read(path)
os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)
task_files.write(path, replace(entry, approach="never"), state, overwrite=True)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_a_killed_save_leaves_the_version_before(shelf, pocket):
    path = shelf.folder / "lora.safetensors"
    whole = path.read_bytes()
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert path.read_bytes() == whole and len(shelf.names()) == 3
    shelf.add(tuned(pocket, "lora", seed=4), "lora", replace=True)  # the lock died with its holder
    assert len(shelf.load("lora").head) == 2


def test_a_full_disk_is_one_sentence_and_loses_nothing(shelf, pocket, monkeypatch):
    before = {name: shelf.entry(name).digest for name in shelf.names()}

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="No space left") as error:
        shelf.add(tuned(pocket, "lora", seed=5), "lora", replace=True)
    assert one_sentence(error)
    assert {name: shelf.entry(name).digest for name in shelf.names()} == before
    assert not list(shelf.folder.glob("*.partial"))


def test_no_file_is_named_by_what_is_not_written(tmp_path, pocket):
    library = Library(tmp_path, pocket)
    (tmp_path / "tmpabc.partial").write_bytes(b"half")
    assert library.names() == [] and library.list().empty
    with pytest.raises(UserError, match="empty"):
        library.use("digits")
