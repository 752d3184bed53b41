"""Runs the commands of docs/tutorial.md in order, and checks the links of related pages."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.examples.conftest import Example

ROOT = Path(__file__).parents[2]
DOCUMENTS = ("README.md", "docs/tutorial.md", "docs/using-the-api.md", "examples/documents/README.md")
PLACEHOLDER = "'paste it from the mail'"


def blocks(language: str) -> list[str]:
    text = (ROOT / "docs/tutorial.md").read_text()
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.mark.slow
def test_every_command_of_the_tutorial_works(example: Example) -> None:
    steps = blocks("sh")
    mail_index = next(index for index, step in enumerate(steps) if PLACEHOLDER in step)
    documents = run(example, "".join(steps[:mail_index]))
    assert documents[-1]["invitations"][0]["email"] == "jonas@people.example"

    token = example.link("jonas@people.example").partition("token=")[2]
    sign_in = "".join(steps[:2])
    documents = run(example, sign_in + "".join(steps[mail_index:]).replace(PLACEHOLDER, token))
    me, invitation, accepted, checked, withdrawn, shared = documents
    assert me["email"] == "mira@documents.example"
    assert invitation["content"] == [
        {"contentType": "documents", "key": "harbour-log", "title": "Harbour log", "role": "EDITOR"}
    ]
    assert not invitation["accountExists"]
    assert accepted["user"]["email"] == "jonas@people.example"
    assert accepted["accessToken"]
    assert checked == {"results": [True, False]}
    assert withdrawn == {"success": True}
    assert shared["access"]["visibility"] == "SHARED"


def run(example: Example, commands: str) -> list[Any]:
    """Run the commands against the example. Returns the JSON documents that they print."""
    replacements = {
        "http://127.0.0.1:8080": example.latchstring_url,
        "var/example": str(example.folder),
        ".venv/bin/latchstring": str(Path(sys.executable).with_name("latchstring")),
        "curl -s": "curl -s --fail-with-body",
    }
    for text, replacement in replacements.items():
        commands = commands.replace(text, replacement)
    script = f"set -eu\n{commands}"
    process = subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert process.returncode == 0, f"{process.stdout}\n{process.stderr}"
    decoder, rest, documents = json.JSONDecoder(), process.stdout.strip(), []
    while rest:
        document, end = decoder.raw_decode(rest)
        documents.append(document)
        rest = rest[end:].strip()
    return documents


@pytest.mark.parametrize("document", blocks("json"))
def test_example_responses_are_json(document: str) -> None:
    assert json.loads(document)


def test_example_settings_match_the_configuration_of_the_example() -> None:
    text = (ROOT / "examples/documents/latchstring.toml").read_text().replace("@documents@", "http://127.0.0.1:8090")
    lines = [line.partition("#")[0].strip() for line in blocks("toml")[0].splitlines()]
    assert [line for line in lines if line not in text] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_have_existing_targets(document: str) -> None:
    path = ROOT / document
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text())
    assert targets
    assert [target for target in targets if not (path.parent / target).exists()] == []
