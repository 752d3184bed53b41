"""Pages about the API: the OpenAPI document, a reference made from it, and a page per problem.

The pages have no scripts and load no resources of other origins. They are faster than a documentation bundle of two
megabytes, can be printed and searched, and need no exception from the Content-Security-Policy.
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
    """Renders absent keywords of a JSON Schema as empty, also nested ones."""


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("latchstring.rest"),
        autoescape=True,
        undefined=_MissingAsEmpty,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["inline_code"] = render_inline_code
    return environment


def render_inline_code(text: str) -> Markup:
    """Escape text and turn `code` in backticks into HTML."""
    fragments = str(escape(text)).split("`")
    return Markup("".join(f"<code>{fragment}</code>" if i % 2 else fragment for i, fragment in enumerate(fragments)))  # noqa: S704


def document_routes(app: App, version: str) -> Sequence[Route]:
    """Make the routes of `/openapi.json`, `/docs` and `/problems`. The document is built at the first request."""
    document: dict[str, Any] = {}

    def get_document(routes: Sequence[Route]) -> dict[str, Any]:
        if not document:
            document.update(build_document(list_operations(routes), app, version=version))
        return document

    return [
        _openapi_route(get_document),
        _docs_route(get_document),
        _style_route(),
        _problems_route(),
        _problem_route(),
    ]


def _openapi_route(get_document: Callable[[Sequence[Route]], dict[str, Any]]) -> Route:
    @get("/openapi.json")
    async def show_openapi(request: Request) -> ASGIApp:
        return raw_json_answer(msgspec.json.encode(get_document(request.app.routes)))

    return show_openapi


def _docs_route(get_document: Callable[[Sequence[Route]], dict[str, Any]]) -> Route:
    @get("/docs")
    async def show_docs(request: Request) -> ASGIApp:
        return _page("docs.html", **_make_docs_context(get_document(request.app.routes)))

    return show_docs


def _make_docs_context(document: dict[str, Any]) -> dict[str, Any]:
    """Make the template context: operations by tag, with resolved references."""
    tags: dict[str, list[dict[str, Any]]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            tags.setdefault(operation["tags"][0], []).append(_describe_operation(document, path, method, operation))
    return {
        "document": document,
        "tags": dict(sorted(tags.items())),
        "introduction": render_markdown(document["info"]["description"]),
    }


def _describe_operation(document: dict[str, Any], path: str, method: str, operation: dict[str, Any]) -> dict[str, Any]:
    body = operation.get("requestBody", {}).get("content", {}).get("application/json")
    components = document["components"]["parameters"]
    examples = [answer.get("content", {}).get("application/json") for answer in operation["responses"].values()]
    return {
        "path": path,
        "method": method.upper(),
        "operation": operation,
        "paragraphs": [
            " ".join(part.split()) for part in operation.get("description", "").split("\n\n") if part.strip()
        ],
        "parameters": [components[p["$ref"].rsplit("/", 1)[1]] if "$ref" in p else p for p in operation["parameters"]],
        "body": body,
        "example": _pretty(body["example"]) if body else "",
        "answer": next((_pretty(answer["example"]) for answer in examples if answer), ""),
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
        problem_type = PROBLEMS.get(code)
        if problem_type is None:
            return problem_answer(NotFound("There is no problem of this name."), request.scope)
        return _page("problem.html", code=code, problem_type=problem_type, text=read_problem_page(code))

    return show_problem


def _page(template: str, **values: object) -> Answer:
    return text_answer(_environment().get_template(template).render(values), media_type=HTML)


@cache
def problem_pages() -> Traversable:
    """Return the folder of the problem pages: in the package if installed, below docs/ in a checkout."""
    installed = files("latchstring.rest") / "problem_pages"
    return installed if installed.is_dir() else Path(__file__).parents[3] / "docs" / "problems"


@cache
def read_problem_page(code: str) -> Markup:
    """Render the page of a problem without its title. Raises FileNotFoundError for an unknown code."""
    text = (problem_pages() / f"{code}.md").read_text()
    return render_markdown(text.partition("\n\n")[2])  # the template has the title from PROBLEMS


@cache
def render_markdown(text: str) -> Markup:
    """Render CommonMark as HTML. HTML in the text is escaped."""
    from markdown_it import MarkdownIt  # noqa: PLC0415  # six MiB that are only needed for these pages

    return Markup(MarkdownIt("commonmark", {"html": False}).render(text))  # noqa: S704  # the renderer escapes
