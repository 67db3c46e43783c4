"""What a newcomer and a host read first: citation, changelog, pictures, workflows, sdist."""

import datetime
import io
import os
import re
import stat
import subprocess
import sys
import tarfile
import tomllib

import pytest
import yaml
from packaging.specifiers import SpecifierSet
from PIL import Image

from helpers.cli.commands import build_parser
from helpers.errors import UserError
from helpers.lessons.rule_trial import published_sentence
from helpers.paths import data_dir
from helpers.results.published.tables import load_published
from tools.site import make_pictures
from tools.site.short_answer import short_answer

pytestmark = pytest.mark.files
SYSTEMS = {"Linux": "ubuntu-latest", "macOS": "macos-latest", "Windows": "windows-latest"}
FORMS = ("bug", "result", "task")


@pytest.fixture(scope="module")
def project(root):
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def read(root, name):
    return (root / name).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def citation(root):
    return yaml.safe_load(read(root, "CITATION.cff"))


def test_the_citation_is_valid_and_says_what_the_package_says(root, citation, project):
    # Citation File Format 1.2.0: what is required, and the kinds of what we use.
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= set(citation)
    known = {"abstract", "authors", "cff-version", "date-released", "keywords", "license"}
    assert set(citation) <= known | {"message", "title", "type", "version"}
    assert citation["type"] == "software" and citation["license"] == project["license"] == "MIT"
    assert all(set(author) == {"name"} and author["name"] for author in citation["authors"])
    assert str(citation["version"]) == project["version"]
    assert isinstance(citation["date-released"], datetime.date)
    assert len(set(citation["keywords"])) == len(citation["keywords"])
    assert citation["abstract"].rstrip(".") == project["description"]
    holder = re.search(r"Copyright \(c\) \d{4} (.+)", read(root, "LICENSE"))[1]
    names = [author["name"] for author in [*citation["authors"], *project["authors"]]]
    assert {name.casefold() for name in names} == {holder.casefold()}


def test_the_changelog_has_every_part_and_this_version(root, citation, project):
    text = read(root, "CHANGELOG.md")
    versions = re.findall(r"^## \[(.+?)\](?: - (\d{4}-\d\d-\d\d))?$", text, re.MULTILINE)
    assert versions[0] == ("Unreleased", "")
    assert versions[1] == (project["version"], citation["date-released"].isoformat())
    kinds = set(re.findall(r"^### (.+)$", text, re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


@pytest.mark.parametrize("page", ["README.md", "TEACHING.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_commands_and_options_of_a_page_exist(root, page):
    (commands,) = build_parser()._subparsers._group_actions
    for name, rest in re.findall(r"python -m helpers ([a-z]+)([^`\n]*)", read(root, page)):
        assert name in commands.choices, f"{page}: python -m helpers {name}"
        known = commands.choices[name]._option_string_actions
        for option in re.findall(r"--[a-z][a-z-]*", rest):
            assert option in known, f"{page}: python -m helpers {name} {option}"


def test_messages_that_troubleshooting_quotes_are_said_somewhere(root):
    quoted = ["is not here", "or newer is needed", "which is not a folder"]
    quoted += ["no network: pip cannot reach the package index for"]
    text = read(root, "README.md").partition("## Troubleshooting")[2]
    files = [root / "Makefile", *(root / "tools").rglob("*.py"), *(root / "helpers").rglob("*.py")]
    code = "\n".join(path.read_text(encoding="utf-8") for path in files)
    for words in quoted:
        assert words in text and words in code, words
    for variable in re.findall(r"\b(T(?:L|RANSFER)_[A-Z]+|REQUIRE_[A-Z]+)\b", text):
        assert variable in code or variable == "REQUIRE_BROWSER", variable


@pytest.mark.parametrize("name", ["decision", "explorer"])
def test_a_picture_is_there_small_and_named_in_the_readme(root, name):
    file = root / "docs" / f"{name}.png"
    assert file.stat().st_size <= make_pictures.LARGEST
    with Image.open(file) as picture:
        assert picture.format == "PNG" and picture.width <= 1200
    (alt,) = re.findall(rf"!\[([^\]]+)\]\(docs/{name}\.png\)", read(root, "README.md"))
    assert len(alt) > 60 and not re.search(r"\d\.\d|\d %", alt)


@pytest.fixture(scope="module")
def marks():
    return make_pictures.all_marks()


def test_the_map_counts_what_it_shows(marks):
    drawn = make_pictures.decision_picture(marks)
    ax = drawn.axes[0]
    own, published = ((marks["evidence"] == name).sum() for name in ("own", "published"))
    assert f"{own} situations measured here; hollow, in {published}" in drawn.alt
    assert ax.get_xlim() == (10, 1_000_000)
    looks = [line.get_markerfacecolor() for line in ax.lines if line.get_marker() != "None"]
    assert "none" in looks and len(set(looks)) > 2
    counted = [int(text.get_text().split("(")[1][:-1]) for text in ax.get_legend().get_texts()]
    assert sum(counted) == own + published


def test_every_mark_of_the_map_names_its_source(marks):
    published = marks[marks["evidence"] == "published"]
    sources = set(load_published().sources.index)
    for words in published["words"]:
        named = re.search(r"published \((.+)\)$", words)[1].split(", ")
        assert set(named) <= sources
    own = marks[marks["evidence"] == "own"]
    assert own["words"].str.endswith("measured here").all() and len(own) and len(published)


def test_the_sentence_under_the_map_is_the_one_that_the_records_give(root, marks, tmp_path):
    told = f"{make_pictures.map_sentence(marks)} {published_sentence()}"
    assert told in " ".join(read(root, "README.md").split())
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- map -->\nold\n<!-- /map -->\nafter\n", encoding="utf-8")
    make_pictures.write_block(page, "map", told)
    text = page.read_text(encoding="utf-8")
    assert told in " ".join(text.split()) and "old" not in text
    assert text.startswith("before\n") and text.endswith("-->\nafter\n")
    page.write_text("no marks\n", encoding="utf-8")
    with pytest.raises(UserError, match="lacks"):
        make_pictures.write_block(page, "map", told)


def test_the_short_answer_is_the_one_that_the_evidence_gives(root):
    page = read(root, "README.md")
    block = page.split("<!-- short -->")[1].split("<!-- /short -->")[0]
    assert " ".join(block.split()) == " ".join(short_answer().split())
    for link in re.findall(r"\((notebooks/.*?)\)", block):
        assert (root / link).exists()


def test_a_picture_that_cannot_be_made_is_said(tmp_path):
    with pytest.raises(UserError, match="make site"):
        make_pictures.explorer_picture(tmp_path / "explorer.html")
    noise = Image.frombytes("RGB", (600, 600), os.urandom(600 * 600 * 3))
    buffer = io.BytesIO()
    noise.save(buffer, format="PNG")
    with pytest.raises(UserError, match="make it smaller"):
        make_pictures.small_png(buffer.getvalue())


@pytest.fixture(scope="module")
def job(root):
    workflow = yaml.safe_load(read(root, ".github/workflows/tests.yml"))
    assert workflow["permissions"] == {"contents": "read"}
    return workflow["jobs"]["tests"]


def test_the_workflow_runs_the_test_command_on_three_systems(root, job, project):
    assert set(job["strategy"]["matrix"]["os"]) == set(SYSTEMS.values())
    runs = [step for step in job["steps"] if "Tests (" in step.get("name", "")]
    found = {re.search(r"== '(\w+)'", step["if"])[1]: step["run"].strip() for step in runs}
    assert set(found) == set(SYSTEMS)
    assert found["Linux"] == found["macOS"] == "make test"
    # Without make: the lines that make would run.
    makefile = read(root, "Makefile")
    for line in found["Windows"].splitlines():
        assert line.replace("python ", "$(PY) ", 1) in makefile.replace("@", ""), line
    (python,) = [s["with"] for s in job["steps"] if "setup-python" in s.get("uses", "")]
    assert python["python-version"] in SpecifierSet(project["requires-python"])
    assert python["cache"] == "pip"
    (linux,) = [step for step in runs if "Linux" in step["if"]]
    assert linux["env"]["REQUIRE_BROWSER"] == "1"


def test_no_workflow_or_binder_file_names_a_host(root):
    for folder in (".github/workflows", "binder"):
        for path in (root / folder).iterdir():
            assert "://" not in path.read_text(encoding="utf-8"), path


@pytest.mark.parametrize("name", FORMS)
def test_an_issue_form_is_well_formed(root, name):
    form = yaml.safe_load(read(root, f".github/ISSUE_TEMPLATE/{name}.yml"))
    assert {"name", "description", "body"} <= set(form)
    kinds = {"markdown", "textarea", "input", "dropdown", "checkboxes"}
    assert {part["type"] for part in form["body"]} <= kinds
    asked = [part for part in form["body"] if part["type"] != "markdown"]
    ids = [part["id"] for part in asked]
    assert len(set(ids)) == len(ids)
    assert all(part["attributes"]["label"] for part in asked)
    for part in asked:
        if part["type"] in ("dropdown", "checkboxes"):
            assert part["attributes"]["options"]
        if part["type"] == "dropdown":  # unquoted, a number is no option
            assert all(isinstance(option, str) for option in part["attributes"]["options"])


def test_binder_takes_the_tested_versions(root, project):
    lines = read(root, "binder/requirements.txt").splitlines()
    wanted = [line for line in lines if not line.startswith("#")]
    # pip reads -c beside the file that names it, and -e from the clone's root, where it is run.
    assert wanted == ["-c ../constraints.txt", "-e ."]
    assert (root / "binder" / ".." / "constraints.txt").is_file()
    version = read(root, "binder/runtime.txt").strip().removeprefix("python-")
    assert version in SpecifierSet(project["requires-python"])
    conda = yaml.safe_load(read(root, "environment.yml"))["dependencies"]
    assert f"python={version}" in conda


def test_binder_fetches_the_data_once(root):
    script = root / "binder" / "postBuild"
    text = script.read_text(encoding="utf-8")
    assert text.startswith("#!/usr/bin/env bash\n") and "python -m helpers fetch" in text
    if os.name == "posix":
        assert script.stat().st_mode & stat.S_IXUSR
        subprocess.run(["bash", "-n", str(script)], check=True)


def test_an_sdist_is_the_clone(root, tmp_path):
    code = f"from setuptools.build_meta import build_sdist; print(build_sdist({str(tmp_path)!r}))"
    copy = tmp_path / "clone"
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git clone")
    for name in filter(None, listed.stdout.split("\0")):
        if (root / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).symlink_to(root / name)
    subprocess.run([sys.executable, "-c", code], cwd=copy, check=True, capture_output=True)
    (made,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(made) as file:
        names = {name.partition("/")[2] for name in file.getnames()}
    results = [f"data/results/{p.name}" for p in (data_dir() / "results").glob("*.csv")]
    tracked = set(listed.stdout.split("\0"))
    for name in [*set(results) & tracked, "data/assets.toml", "notebooks/00_start_here.ipynb"]:
        assert name in names, name
    assert {"Makefile", "constraints.txt", "LICENSE", "README.md"} <= names
    assert not any("cache" in name.split("/") for name in names)
