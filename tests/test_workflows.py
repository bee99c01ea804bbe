"""GitHub's workflows: each parses, ends by itself, may do no more than it must, and calls the Makefile for all it does."""

import re
import subprocess

import pytest
import yaml
from conftest import ROOT

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
MAY = {"publish": {"pages", "id-token"}, "release": {"contents"}}  # write; every other one reads alone


@pytest.fixture(params=WORKFLOWS, ids=lambda path: path.stem)
def workflow(request):
    return yaml.safe_load(request.param.read_text())


def steps(workflow):
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def test_the_uses_that_the_course_is_for_are_covered():
    assert [path.stem for path in WORKFLOWS] == ["publish", "release", "test", "weekly"]
    triggers = {
        path.stem: yaml.safe_load(path.read_text())[True] for path in WORKFLOWS
    }  # YAML reads "on" as true
    assert "push" in triggers["test"] and "pull_request" in triggers["test"]
    assert triggers["publish"]["push"] == {"branches": ["main"]}
    assert triggers["release"] == {"push": {"tags": ["v*"]}}
    assert "schedule" in triggers["weekly"]


def test_a_step_calls_the_makefile_or_a_published_action(workflow):
    for step in steps(workflow):
        if "run" in step:
            (line,) = step["run"].strip().splitlines()
            assert re.fullmatch(r"make \w+( [A-Z]+=\S+( github\.ref_name \}\})?)?|\.ci/run", line), line
        else:
            assert re.fullmatch(r"[\w-]+/[\w-]+@v\d+", step["uses"])
    assert any("run" in step for step in steps(workflow))


def test_what_a_step_calls_is_there(workflow):
    for step in steps(workflow):
        for target in re.findall(r"^make (\w+)", step.get("run", "")):
            made = subprocess.run(
                ["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=False
            )
            assert made.returncode == 0, made.stderr
    assert (ROOT / ".ci/run").read_text().splitlines()[-1] == "make test"


def test_a_job_ends_and_may_do_little(workflow):
    assert all(job["timeout-minutes"] <= 120 for job in workflow["jobs"].values())
    write = {name for name, access in workflow["permissions"].items() if access == "write"}
    assert write == MAY.get(workflow["name"], set())


def test_links_out_of_the_book_are_tried():
    (link,) = [
        step
        for step in steps(yaml.safe_load((ROOT / ".github/workflows/weekly.yml").read_text()))
        if "lychee" in step.get("uses", "")
    ]
    files = [word for word in link["with"]["args"].split() if re.search(r"\.(md|bib)$", word)]
    assert "book/references.bib" in files and [name for name in files if not (ROOT / name).exists()] == []
    assert link["with"]["fail"] is True
