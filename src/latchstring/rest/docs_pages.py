"""Pages about the API: the OpenAPI document, a readable page made of it, and one page per problem.

Nothing is loaded from elsewhere and nothing runs: a plain page is faster than a bundle of two megabytes, prints, can be
searched, and needs no exception from the content policy.
"""

import json
from collections.abc import Callable, Sequence
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import msgspec
from jinja2 import ChainableUndefined, Environment, PackageLoader
from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.types import ASGIApp

from latchstring.domain.errors import NotFound
from latchstring.domain.settings import App
from latchstring.http.problems import PROBLEMS, problem_answer
from latchstring.http.responses import Answer, raw_json_answer, text_answer
from latchstring.http.routing import Route, get
from latchstring.rest.openapi import build_document, list_operations

HTML = "text/html; charset=utf-8"


class _MissingAsEmpty(ChainableUndefined):
    """A keyword of JSON Schema that a schema does not use is absent, also deeper down."""


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("latchstring.rest"),
        autoescape=True,
        undefined=_MissingAsEmpty,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals["words"] = words
    return made


def words(text: str) -> Markup:
    """Prose with `code` in it, escaped."""
    parts = str(escape(text)).split("`")
    return Markup("".join(f"<code>{part}</code>" if i % 2 else part for i, part in enumerate(parts)))  # noqa: S704


def document_routes(app: App, version: str) -> Sequence[Route]:
    """`/openapi.json`, `/docs` and `/problems/<code>`. The document is made at the first request and kept."""
    made: dict[str, Any] = {}

    def document_of(routes: Sequence[Route]) -> dict[str, Any]:
        if not made:
            made.update(build_document(list_operations(routes), app, version=version))
        return made

    return [_openapi_route(document_of), _docs_route(document_of), _style_route(), _problems_route(), _problem_route()]


def _openapi_route(document_of: Callable[[Sequence[Route]], dict[str, Any]]) -> Route:
    @get("/openapi.json")
    async def show_openapi(request: Request) -> ASGIApp:
        return raw_json_answer(msgspec.json.encode(document_of(request.app.routes)))

    return show_openapi


def _docs_route(document_of: Callable[[Sequence[Route]], dict[str, Any]]) -> Route:
    @get("/docs")
    async def show_docs(request: Request) -> ASGIApp:
        return _page("docs.html", **_read_document(document_of(request.app.routes)))

    return show_docs


def _read_document(document: dict[str, Any]) -> dict[str, Any]:
    """The document as the page shows it: operations by tag, references followed."""
    tags: dict[str, list[dict[str, Any]]] = {}
    for path, methods in document["paths"].items():
        for method, one in methods.items():
            tags.setdefault(one["tags"][0], []).append(_shown(document, path, method, one))
    return {
        "document": document,
        "tags": dict(sorted(tags.items())),
        "introduction": render_markdown(document["info"]["description"]),
    }


def _shown(document: dict[str, Any], path: str, method: str, one: dict[str, Any]) -> dict[str, Any]:
    body = one.get("requestBody", {}).get("content", {}).get("application/json")
    known = document["components"]["parameters"]
    answers = [answer.get("content", {}).get("application/json") for answer in one["responses"].values()]
    return {
        "path": path,
        "method": method.upper(),
        "operation": one,
        "paragraphs": [" ".join(part.split()) for part in one.get("description", "").split("\n\n") if part.strip()],
        "parameters": [known[p["$ref"].rsplit("/", 1)[1]] if "$ref" in p else p for p in one["parameters"]],
        "body": body,
        "example": _pretty(body["example"]) if body else "",
        "answer": next((_pretty(answer["example"]) for answer in answers if answer), ""),
    }


def _pretty(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _style_route() -> Route:
    @get("/docs/docs.css")
    async def show_style(_: Request) -> ASGIApp:
        style = (files("latchstring.rest") / "static" / "docs.css").read_text()
        return Answer(
            200,
            style.encode(),
            [(b"content-type", b"text/css; charset=utf-8"), (b"cache-control", b"public, max-age=3600")],
        )

    return show_style


def _problems_route() -> Route:
    @get("/problems")
    async def list_problems(_: Request) -> ASGIApp:
        return _page("problems.html", problems=PROBLEMS)

    return list_problems


def _problem_route() -> Route:
    @get("/problems/{code}")
    async def show_problem(request: Request) -> ASGIApp:
        code = request.path_params["code"]
        kind = PROBLEMS.get(code)
        if kind is None:
            return problem_answer(NotFound("There is no problem of this name."), request.scope)
        return _page("problem.html", code=code, kind=kind, text=read_problem_page(code))

    return show_problem


def _page(template: str, **values: object) -> Answer:
    return text_answer(_environment().get_template(template).render(values), media_type=HTML)


@cache
def problem_pages() -> Traversable:
    """Where the pages are: beside the code in an installed package, under docs/ in a checkout."""
    installed = files("latchstring.rest") / "problem_pages"
    return installed if installed.is_dir() else Path(__file__).parents[3] / "docs" / "problems"


@cache
def read_problem_page(code: str) -> Markup:
    """What the page of a problem says below its title. Raises FileNotFoundError for an unknown code."""
    text = (problem_pages() / f"{code}.md").read_text()
    return render_markdown(text.partition("\n\n")[2])  # the title is the table's


@cache
def render_markdown(text: str) -> Markup:
    """CommonMark as HTML. HTML in the text is shown as text."""
    from markdown_it import MarkdownIt  # noqa: PLC0415  # six MiB that only readers of these pages need

    return Markup(MarkdownIt("commonmark", {"html": False}).render(text))  # noqa: S704  # the renderer escapes
