"""The pages about the API have no scripts, load only local resources, and list all routes."""

import re
from html.parser import HTMLParser

import httpx2
import pytest

from latchstring.http.problems import PROBLEMS
from latchstring.rest.docs_pages import render_markdown


class Page(HTMLParser):
    """The resources, inline code, links and anchors of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.inline: list[str] = []
        self.targets: set[str] = set()
        self.anchors: set[str] = set()
        self.ids: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.inline += [name for name in attributes if name == "style" or name.startswith("on")]
        if tag in {"script", "style", "img", "iframe", "form"}:
            self.inline.append(tag)
        if tag == "link":
            self.loaded.append(attributes["href"] or "")
        if tag == "a" and (attributes["href"] or "").startswith("#"):
            self.anchors.add((attributes["href"] or "")[1:])
        elif tag == "a":
            self.targets.add(attributes["href"] or "")
        if attributes.get("id"):
            self.ids.append(attributes["id"] or "")


@pytest.mark.parametrize("path", ["/docs", "/problems", "/problems/invitation-expired"])
async def test_a_page_loads_only_local_resources_and_its_anchors_exist(client: httpx2.AsyncClient, path: str) -> None:
    response = await client.get(path)
    assert (response.status_code, response.headers["content-type"]) == (200, "text/html; charset=utf-8")
    page = Page(response.text)
    assert page.inline == []
    assert all(url.startswith("/") and not url.startswith("//") for url in [*page.loaded, *page.targets])
    assert page.anchors <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))


async def test_the_docs_list_every_operation_and_schema(client: httpx2.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    text = (await client.get("/docs")).text
    for path, operations in document["paths"].items():
        assert path in text
        assert all(operation["summary"] in text for operation in operations.values())
    assert all(f'id="shape-{name}"' in text for name in document["components"]["schemas"])


def test_markup_in_the_text_of_a_page_is_escaped() -> None:
    page = render_markdown("a <script>b</script> `<i>`\n\n<img src=x>\n\n[c](javascript:d)")
    assert set(re.findall("<[a-z]+", page)) == {"<p", "<code"}


async def test_every_problem_has_a_page(client: httpx2.AsyncClient) -> None:
    links = Page((await client.get("/problems")).text).targets
    for code, problem_type in PROBLEMS.items():
        assert f"/problems/{code}" in links
        response = await client.get(f"/problems/{code}")
        assert (response.status_code, f"<h1>{problem_type.title}</h1>" in response.text) == (200, True)


@pytest.mark.parametrize("code", ["nothing", "..%2f..%2fREADME", "<script>"])
async def test_an_unknown_problem_is_404(client: httpx2.AsyncClient, code: str) -> None:
    assert (await client.get(f"/problems/{code}")).status_code == 404


async def test_the_style_sheet_uses_only_design_tokens(client: httpx2.AsyncClient) -> None:
    response = await client.get("/docs/docs.css")
    assert response.headers["content-type"] == "text/css; charset=utf-8"
    assert not re.search(r"#[0-9a-f]{3,8}\b|rgb\(|\d(px|em|ms)\b", response.text.replace("60rem", ""))


async def test_the_document_is_the_same_for_each_request(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/openapi.json")).content == (await client.get("/openapi.json")).content
