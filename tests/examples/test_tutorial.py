"""The commands of docs/tutorial.md, run in order as they stand there, and the links of the pages around it."""

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
PASTED = "'paste it from the mail'"


def blocks(language: str) -> list[str]:
    text = (ROOT / "docs/tutorial.md").read_text()
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.mark.slow
def test_every_command_of_the_tutorial_works(example: Example) -> None:
    steps = blocks("sh")
    mail = next(place for place, step in enumerate(steps) if PASTED in step)
    said = run(example, "".join(steps[:mail]))
    assert said[-1]["invitations"][0]["email"] == "jonas@people.example"

    token = example.link("jonas@people.example").partition("token=")[2]
    signing_in = "".join(steps[:2])
    said = run(example, signing_in + "".join(steps[mail:]).replace(PASTED, token))
    me, offer, accepted, checked, withdrawn, shared = said
    assert me["email"] == "mira@documents.example"
    assert offer["content"] == [
        {"contentType": "documents", "key": "harbour-log", "title": "Harbour log", "role": "EDITOR"}
    ]
    assert not offer["accountExists"]
    assert accepted["user"]["email"] == "jonas@people.example"
    assert accepted["accessToken"]
    assert checked == {"results": [True, False]}
    assert withdrawn == {"success": True}
    assert shared["access"]["visibility"] == "SHARED"


def run(example: Example, commands: str) -> list[Any]:
    """Run them where the example is, and give the JSON documents they print."""
    places = {
        "http://127.0.0.1:8080": example.latchstring_url,
        "var/example": str(example.folder),
        ".venv/bin/latchstring": str(Path(sys.executable).with_name("latchstring")),
        "curl -s": "curl -s --fail-with-body",
    }
    for written, here in places.items():
        commands = commands.replace(written, here)
    script = f"set -eu\n{commands}"
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    decoder, rest, found = json.JSONDecoder(), done.stdout.strip(), []
    while rest:
        document, end = decoder.raw_decode(rest)
        found.append(document)
        rest = rest[end:].strip()
    return found


@pytest.mark.parametrize("document", blocks("json"))
def test_shown_answers_are_json(document: str) -> None:
    assert json.loads(document)


def test_shown_settings_are_those_of_the_example() -> None:
    text = (ROOT / "examples/documents/latchstring.toml").read_text().replace("@documents@", "http://127.0.0.1:8090")
    lines = [line.partition("#")[0].strip() for line in blocks("toml")[0].splitlines()]
    assert [line for line in lines if line not in text] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document: str) -> None:
    path = ROOT / document
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text())
    assert targets
    assert [target for target in targets if not (path.parent / target).exists()] == []
