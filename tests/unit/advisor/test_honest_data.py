"""What makes an accuracy on own data worth believing: folds, a test of its kind, a known language.

And what a reader is left with where no answer can be given.
"""

import json
import sys
from dataclasses import replace
from html import unescape
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from own import with_splits, write_pictures
from PIL import Image
from tiny import tiny_task

from helpers.advisor import onnx_file
from helpers.advisor.answer import first_answer
from helpers.advisor.checks.catalogue import RefusedData, run_checks
from helpers.advisor.checks.shift import SHIFT, compare
from helpers.advisor.costs import COSTS
from helpers.advisor.data import BALANCE, Finding, OwnData
from helpers.advisor.folds import cut_folds, folds_of, out_of_fold
from helpers.advisor.network import letters_a_piece
from helpers.advisor.pipeline import Request, advise, advise_command, export_model
from helpers.advisor.probe import _cuts
from helpers.advisor.read.any_format import read_data
from helpers.advisor.report.as_html import report
from helpers.advisor.report.as_text import in_words
from helpers.advisor.splits import find_series
from helpers.approaches import TransferModel
from helpers.backbones import load_backbone
from helpers.errors import UserError
from helpers.results.runs import load_runs
from helpers.tasks.words import count_words
from helpers.training.linear import linear_probe


def noise(file, seed):
    """Write a picture like no other."""
    file.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 8), dtype=np.uint8)
    Image.fromarray(pixels).resize((40, 40)).save(file)


def texts(n, splits=None, **fields):
    rng = np.random.default_rng(1)
    items = [" ".join("".join(rng.choice(list("abcdefg"), 6)) for _ in range(8)) for _ in range(n)]
    splits = np.full(n, "", dtype="U10") if splits is None else splits
    return OwnData(Path("t.csv"), "text", items, np.arange(n) % 2, ("a", "b"), splits, **fields)


# --- folds ----------------------------------------------------------------------------------------


def series_of_pictures(n_series, seed):
    """Features, labels and series of pictures that are alike within a series and tell nothing."""
    rng = np.random.default_rng(seed)
    series = np.repeat(np.arange(n_series), 5)
    labels = series % 2
    features = rng.normal(size=(n_series, 40))[series] + 0.1 * rng.normal(size=(len(series), 40))
    return features.astype(np.float32), labels, series


def probed(together):
    features, labels, _ = series_of_pictures(40, seed=0)
    data = OwnData(Path(), "image", [""] * 200, labels, ("a", "b"), np.full(200, "train"),
                   together=together)  # fmt: skip
    cuts = _cuts(SimpleNamespace(data=data), np.arange(200), labels, 0)
    found = out_of_fold(linear_probe(), features, labels, cuts)
    return float((found == labels).mean())


def test_out_of_fold_drops_to_what_new_series_show():
    apart, kept = probed(None), probed(series_of_pictures(40, seed=0)[2])
    assert apart > 0.95  # copies of each picture on both sides: as if all were known
    assert kept < 0.65  # new series of the same making are guessed


def test_no_fold_cuts_what_belongs_together():
    labels, together = np.arange(60) % 3, np.arange(60) // 6
    for n in (3, 10, 50):
        cuts = cut_folds(labels, together, n)
        assert sorted(np.concatenate([judged for _, judged in cuts])) == list(range(60))
        assert all(not set(together[seen]) & set(together[judged]) for seen, judged in cuts)


def test_copies_stay_on_one_side_of_the_folds_of_a_race(tmp_path):
    for i in range(40):
        noise(tmp_path / "ab"[i % 2] / f"{chr(97 + i % 26)}{'x' * (i // 26)}.png", i)
        noise(tmp_path / "ab"[i % 2] / f"again{chr(97 + i % 26)}{'x' * (i // 26)}.png", i)
    data = with_splits(read_data(tmp_path))
    assert data.together_by["copies"] == 40
    task = SimpleNamespace(train=data.splits == "train")
    own = SimpleNamespace(data=data, task=task, pool=np.flatnonzero(data.splits != "test"))
    own.task.train = own.pool[:40]
    folds = folds_of(own)
    for fold in range(1, folds.count + 1):
        seen, judged = (data.together[own.pool[rows]] for rows in folds.rows(fold))
        assert not set(seen) & set(judged)


def test_groups_are_taken_from_a_file_beside_the_folders(tmp_path):
    lines = ["file,group"]
    for i in range(40):
        noise(tmp_path / "ab"[i % 2] / f"{i}.png", i)
        lines.append(f"{'ab'[i % 2]}/{i}.png,shelf {i // 8}")
    (tmp_path / "groups.csv").write_text("\n".join(lines[:-1]))  # the last stands alone
    data = with_splits(read_data(tmp_path))
    assert data.together_by == {"groups": 5, "series": 0, "copies": 0, "sets": 5,
                                "source": "groups.csv"}  # fmt: skip
    shelves = np.array([int(path.stem) // 8 for path in data.items])
    assert all(len(set(data.splits[shelves == shelf][:-1])) == 1 for shelf in range(5))
    assert {f.check for f in data.findings} >= {"kept together", "files without a group"}
    for wrong in ("file\n0.png", "file,group\nelsewhere.png,1"):
        (tmp_path / "groups.csv").write_text(wrong)
        with pytest.raises(UserError, match="groups.csv"):
            with_splits(read_data(tmp_path))


def test_names_that_end_in_a_place_of_one_scene_are_series(tmp_path):
    for tile in range(20):
        for place in ("left", "middle", "right"):
            noise(tmp_path / "ab"[tile % 2] / f"tile{tile:02}_{place}.png", tile * 9 + len(place))
    assert len(set(find_series(read_data(tmp_path)))) == 20
    for file in tmp_path.rglob("*.png"):
        file.rename(file.with_stem(f"photo-{file.stem.partition('_')[2]}"[:4] + str(hash(file))))
    assert find_series(read_data(tmp_path)) is None


# --- a test of another kind -----------------------------------------------------------------------


def clouds(seed, n=240, moved=0.0):
    """Features of three classes; those of the last third are moved, each class its own way."""
    rng = np.random.default_rng(seed)
    labels, is_test = np.arange(n) % 3, np.arange(n) >= 2 * n // 3
    ways = np.random.default_rng(9).normal(size=(3, 20))
    features = 2 * ways[labels] + rng.normal(size=(n, 20))
    features[is_test] += moved * np.roll(ways, 1, axis=0)[labels[is_test]]
    return features.astype(np.float32), labels, is_test


def test_a_random_split_is_called_alike_and_a_moved_test_is_not():
    alone = np.arange(240)
    found = [compare(*clouds(seed), alone, seed) for seed in range(40)]
    assert sum(one.differs for one in found) <= 2  # 95 % of the time and more
    assert 0.47 < np.mean([one.auc for one in found]) < 0.53
    moved = compare(*clouds(0, moved=0.8), alone)
    assert moved.differs and moved.auc > 0.7 and moved.p_value <= 0.02
    assert (moved.telling >= 160).all()


def test_series_drawn_at_random_are_called_alike():
    flagged = 0
    for seed in range(20):
        features, labels, series = series_of_pictures(60, seed)
        chosen = np.random.default_rng(seed).permutation(60)[:20]
        flagged += compare(features, labels, np.isin(series, chosen), series, seed).differs
    assert flagged <= 1


@pytest.mark.parametrize(("moved", "severity"), [(0.8, "warning"), (0.0, "passed")])
def test_the_check_says_which_kind_of_test_it_is(moved, severity):
    features, labels, is_test = clouds(0, moved=moved)
    data = texts(240, np.where(is_test, "test", "train").astype("U10"))
    data = OwnData(data.root, "text", data.items, labels, ("a", "b", "c"), data.splits)
    (finding,) = (f for f in run_checks(data, features=features) if f.check == SHIFT)
    assert finding.severity == severity
    assert ("probe_on_test" in finding.figures) == (severity == "warning")
    assert bool(finding.examples) == (severity == "warning")


def test_a_test_that_was_drawn_here_is_not_asked():
    data = texts(240, np.array(["train", "test"] * 120), drawn=("test",))
    findings = run_checks(data, features=np.random.default_rng(0).normal(size=(240, 5)))
    assert SHIFT not in {finding.check for finding in findings}


# --- languages ------------------------------------------------------------------------------------


def fake_encoder(letters):
    """An encoder whose tokenizer cuts words into pieces of so many letters."""

    def tokenizer(texts, longest):
        pieces = [sum(-(-len(word) // letters) for word in text.split()) for text in texts]
        ids = np.zeros((len(texts), longest), dtype=np.int32)
        for row, count in enumerate(pieces):
            ids[row, : min(longest, count + 2)] = 7
        return ids

    return SimpleNamespace(tokenizer=tokenizer, name="minilm")


@pytest.mark.parametrize(("letters", "told"), [(6, False), (2, True)])
def test_texts_that_the_vocabulary_cuts_to_pieces_are_told(letters, told):
    data = texts(60)
    found = letters_a_piece(fake_encoder(letters), data)
    checks = {f.check: f for f in run_checks(data, letters=found)}
    assert (checks["language"].severity == "warning") == told


def test_few_texts_of_another_script_are_told_apart():
    data = texts(60)
    data.items[3] = data.items[7] = "包裹晚了两天才到,盒子完全压坏了,但是客服很友好,下次还会再来。"
    found = letters_a_piece(fake_encoder(6), data)
    finding = next(f for f in run_checks(data, letters=found) if f.check == "language")
    assert finding.figures["texts"] == 2 and len(finding.examples) == 2


@pytest.mark.parametrize(
    ("text", "words"), [("नमस्ते दुनिया", 2), ("很好的酒店", 5), ("a good hotel", 3), ("مُحَمَّد", 1)]
)
def test_words_are_counted_in_any_script(text, words):
    assert count_words(text) == words


# --- refusals -------------------------------------------------------------------------------------


@pytest.fixture
def leaking(tmp_path, monkeypatch):
    """Pictures, half of whose test stands in train."""
    monkeypatch.setenv("TRANSFER_CACHE", str(tmp_path / "cache"))
    root = write_pictures(tmp_path / "bars", tiny_task(48, n_classes=2))
    for number, file in enumerate(sorted((root / "test").rglob("*.png"))):
        if number % 2:
            twin = sorted((root / "train" / file.parent.name).glob("*.png"))[number // 2]
            file.write_bytes(twin.read_bytes())
    return root


def test_a_refusal_leaves_its_evidence_and_takes_its_own_advice(leaking, tmp_path):
    request = Request(leaking, backbone="pocket", image_size=28)
    files = {"json_file": tmp_path / "a.json", "html_file": tmp_path / "a.html"}
    with pytest.raises(RefusedData, match="--ignore-splits"):
        advise_command(request, **files)
    told = json.loads(files["json_file"].read_text(encoding="utf-8"))
    assert told["approach"] is None and told["refused"] and told["n_test"] > 0
    evidence = next(check for check in told["checks"] if check["severity"] == "refused")
    assert len(evidence["examples"]) >= 5
    page = files["html_file"].read_text(encoding="utf-8")
    assert evidence["examples"][0].split(" ")[0] in page
    again = advise(Request(leaking, backbone="pocket", image_size=28, ignore_splits=True))
    assert again.as_dict()["kept_together"]["copies"] > 0
    assert not again.as_dict()["refused"]


def test_data_that_cannot_be_split_are_refused_with_what_reading_found(tmp_path):
    for kind in "ab":
        noise(tmp_path / kind / "1.png", ord(kind))
        (tmp_path / kind / "broken.png").write_bytes(b"\x89PNG")
    with pytest.raises(RefusedData):
        advise_command(Request(tmp_path, backbone="pocket", image_size=28),
                       json_file=tmp_path / "a.json")  # fmt: skip
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))["checks"]


# --- what is handed over --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def looked(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRANSFER_CACHE", str(tmp_path_factory.mktemp("cache")))
        root = write_pictures(tmp_path_factory.mktemp("own") / "bars")
        yield advise(Request(root, backbone="pocket", image_size=28, hour_price=3.0))


def test_terminal_page_and_json_say_what_stays_together(looked):
    told = looked.as_dict()
    found = told["kept_together"]["found"]
    assert found and found in unescape(report(told))
    assert found[:60] in in_words(looked)


def test_the_first_screen_tells_cost_in_hours_and_money_and_the_next_step(looked):
    told = looked.as_dict()
    head = report(told).partition("</header>")[0]
    row = next(row for row in told["candidates"] if row["approach"] == told["approach"])
    assert f"· {row['latency_ms'] / 3.6 * 3:,.2f}</b>\n<p>for a million predictions" in head
    assert "--export" in head and told["verdict"] in head


def test_macro_f1_is_told_where_it_is_advised_to_compare_by_it(looked):
    for advice, is_told in ((looked, False), (uneven(looked), True)):
        told, page = advice.as_dict(), unescape(report(advice.as_dict()))
        probe, head = told["probe"], page.partition("Everything, as JSON")[0]
        assert ("macro_f1" in probe) == ("macro_f1" in probe["classical"]) == is_told
        assert ("macro F1 0." in in_words(advice) or "macro F1 1." in in_words(advice)) == is_told
        if is_told:
            for one in (probe["macro_f1"], probe["classical"]["macro_f1"]):
                assert f"macro F1 {one:.3f}" in in_words(advice)
                assert head.count(f"macro F1 {one:.3f}") >= 2
            assert probe.keys() - looked.as_dict()["probe"].keys() == {"macro_f1"}


def uneven(looked):
    """The same advice where a check advises to compare by macro F1."""
    mend = "Compare by macro F1 as well: accuracy hides what happens to small classes."
    finding = Finding(BALANCE, "note", "The largest class has twice as many.", (), mend)
    seen = replace(looked.looked, findings=(*looked.looked.findings, finding))
    return replace(looked, looked=seen, answer=first_answer(seen, load_runs()))


def test_costs_timed_beside_other_programs_say_so_and_are_not_kept(looked):
    def timed(busy):
        costs = {n: replace(cost, busy=busy) for n, cost in looked.looked.costs.items()}
        return replace(looked, looked=replace(looked.looked, costs=costs))

    for busy in (False, True):
        advice = timed(busy)
        for said in (in_words(advice), report(advice.as_dict()), json.dumps(advice.as_dict())):
            assert ("Other programs were running while it was timed" in said) == busy
        assert (COSTS.write(advice.looked.costs) is None) == busy


def test_a_model_is_handed_over_with_its_card(looked, tmp_path):
    export_model(looked, tmp_path / "model")
    card = (tmp_path / "model" / "README.md").read_text(encoding="utf-8")
    for heading in ("Data", "Numbers", "Limits", "Licence", "How to load it"):
        assert f"## {heading}" in card
    assert "95 % interval" in card


@pytest.mark.parametrize(("name", "size", "side"), [("pocket", 28, 40), ("minilm", 16, 0)])
def test_an_onnx_file_answers_as_the_network_does(name, size, side):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    torch.manual_seed(0)
    model = TransferModel(load_backbone(name, pretrained=False, size=size), 3).eval()
    given = ["short", "a text of more words"]
    if name == "pocket":
        given = np.random.default_rng(0).integers(0, 256, (3, side, side, 1), dtype=np.uint8)
    data, why = onnx_file.as_onnx(model, given)
    assert data and not why
    others = ["another one, and longer than both of those"] if name == "minilm" else given[:1]
    ids = np.array(model.backbone.encode(others))
    told = runtime.InferenceSession(data).run(None, {"inputs": ids})[0]
    expected = torch.softmax(model(torch.from_numpy(ids)), 1).detach().numpy()
    np.testing.assert_allclose(told, expected, atol=1e-4)


def test_without_the_extra_one_sentence_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    model = TransferModel(load_backbone("pocket", pretrained=False), 3)
    assert onnx_file.as_onnx(model, []) == (None, onnx_file.MISSING)
    assert onnx_file.as_onnx(object(), []) == (None, onnx_file.NO_NETWORK)
