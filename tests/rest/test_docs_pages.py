"""The pages about the API load nothing from elsewhere, run nothing, and follow the routes."""

import re
from html.parser import HTMLParser

import httpx2
import pytest

from latchstring.http.problems import PROBLEMS
from latchstring.rest.docs_pages import render_markdown


class Page(HTMLParser):
    """What a page loads, runs and links to inside itself."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.inline: list[str] = []
        self.targets: set[str] = set()
        self.anchors: set[str] = set()
        self.ids: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.inline += [name for name in found if name == "style" or name.startswith("on")]
        if tag in {"script", "style", "img", "iframe", "form"}:
            self.inline.append(tag)
        if tag == "link":
            self.loaded.append(found["href"] or "")
        if tag == "a" and (found["href"] or "").startswith("#"):
            self.anchors.add((found["href"] or "")[1:])
        elif tag == "a":
            self.targets.add(found["href"] or "")
        if found.get("id"):
            self.ids.append(found["id"] or "")


@pytest.mark.parametrize("path", ["/docs", "/problems", "/problems/invitation-expired"])
async def test_a_page_stands_on_its_own(client: httpx2.AsyncClient, path: str) -> None:
    got = await client.get(path)
    assert (got.status_code, got.headers["content-type"]) == (200, "text/html; charset=utf-8")
    page = Page(got.text)
    assert page.inline == []
    assert all(url.startswith("/") and not url.startswith("//") for url in [*page.loaded, *page.targets])
    assert page.anchors <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))


async def test_the_docs_show_every_operation_and_shape(client: httpx2.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    text = (await client.get("/docs")).text
    for path, methods in document["paths"].items():
        assert path in text
        assert all(one["summary"] in text for one in methods.values())
    assert all(f'id="shape-{name}"' in text for name in document["components"]["schemas"])


def test_markup_in_the_text_of_a_page_is_shown_as_text() -> None:
    page = render_markdown("a <script>b</script> `<i>`\n\n<img src=x>\n\n[c](javascript:d)")
    assert set(re.findall("<[a-z]+", page)) == {"<p", "<code"}


async def test_every_problem_has_its_page_behind_its_type(client: httpx2.AsyncClient) -> None:
    linked = Page((await client.get("/problems")).text).targets
    for code, kind in PROBLEMS.items():
        assert f"/problems/{code}" in linked
        got = await client.get(f"/problems/{code}")
        assert (got.status_code, f"<h1>{kind.title}</h1>" in got.text) == (200, True)


@pytest.mark.parametrize("code", ["nothing", "..%2f..%2fREADME", "<script>"])
async def test_a_problem_of_no_name_is_404(client: httpx2.AsyncClient, code: str) -> None:
    assert (await client.get(f"/problems/{code}")).status_code == 404


async def test_the_style_takes_every_value_from_the_tokens(client: httpx2.AsyncClient) -> None:
    got = await client.get("/docs/docs.css")
    assert got.headers["content-type"] == "text/css; charset=utf-8"
    assert not re.search(r"#[0-9a-f]{3,8}\b|rgb\(|\d(px|em|ms)\b", got.text.replace("60rem", ""))


async def test_the_document_is_made_once(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/openapi.json")).content == (await client.get("/openapi.json")).content
