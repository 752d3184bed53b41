"""Templates of messages: MJML is compiled once, Jinja renders the result for each mail.

A file is processed in two passes. `[% %]` and `[[ ]]` assemble a message before the MJML compiler runs; `{{ }}` and
`{% %}` pass through the compiler unchanged and are rendered for each mail. Each message has `subject.txt`, `body.txt`
(written by hand) and `body.mjml`.

Files of the same names in the operator's folder override the built-in ones, also for a single language:
`invitation/body.de.mjml` before `invitation/body.mjml`. Changed files are used from the next mail on.
"""

import os
import re
import textwrap
from functools import lru_cache
from importlib.resources import files
from pathlib import Path, PurePosixPath

import css_inline
from jinja2 import Environment, FunctionLoader, StrictUndefined, Template, TemplateSyntaxError
from markupsafe import Markup
from mjml import mjml2html

from latchstring.domain.mail import MailKind
from latchstring.i18n.catalogues import translations

FORMS = ("subject.txt", "body.txt", "body.mjml")
SHARED = ("layout.mjml", "words.mjml")
WIDTH = 72  # RFC 3676, section 4.2, recommends at most 78
_DIRECTIONS = (
    (re.compile(r"(?<![-\w])direction: ?ltr"), "direction:{{ direction }}"),
    (re.compile(r"text-align: ?left"), "text-align:{{ start }}"),
    (re.compile(r'align="left"'), 'align="{{ start }}"'),
    (re.compile(r"border-left:"), "border-{{ start }}:"),
    (re.compile(r"padding: ?0 0 0 18px"), "padding:0;padding-{{ start }}:18px"),
)
Stamp = tuple[tuple[str, int, int], ...]


class MailTemplates:
    """The templates of an installation, cached. A change of the folder creates another object."""

    def __init__(self, folder: Path | None = None) -> None:
        """folder: the folder with overrides; None for the built-in templates only."""
        self._folder = folder
        self._languages = _languages_of(folder) if folder else frozenset()
        self._compiled: dict[tuple[MailKind, str], str] = {}
        self._environments: dict[tuple[str, bool], Environment] = {}

    @property
    def is_built_in(self) -> bool:
        """Whether there are no overrides."""
        return self._folder is None

    def subject(self, kind: MailKind, locale: str) -> Template:
        """Return the template of the subject, one line of plain text."""
        return self._environment(locale, html=False).get_template(f"{kind}/subject.txt")

    def text(self, kind: MailKind, locale: str) -> Template:
        """Return the template of the text part."""
        return self._environment(locale, html=False).get_template(f"{kind}/body.txt")

    def html(self, kind: MailKind, locale: str) -> Template:
        """Return the template of the HTML part."""
        return self._environment(locale, html=True).get_template(f"{kind}/body.html")

    def compiled_html(self, kind: MailKind, locale: str) -> str:
        """Return the HTML of a message with its placeholders, and styles inlined for clients that drop style sheets.

        Compiled once: MJML and inlining cost more than the rest of a mail.
        """
        language = locale if locale in self._languages else ""
        html = self._compiled.get((kind, language))
        if html is None:
            html = self._compiled[kind, language] = self._compile(kind, language)
        return html

    def _compile(self, kind: MailKind, language: str) -> str:
        environment = Environment(
            loader=FunctionLoader(lambda name: self._source(name, language)),
            autoescape=False,  # noqa: S701  # assembles template files, without user input
            block_start_string="[%",
            block_end_string="%]",
            variable_start_string="[[",
            variable_end_string="]]",
            comment_start_string="[#",
            comment_end_string="#]",
            undefined=StrictUndefined,
        )
        compiled: str = mjml2html(environment.get_template(f"{kind}/body.mjml").render())
        inliner = css_inline.CSSInliner(keep_style_tags=True, load_remote_stylesheets=False)
        return _follow_direction(inliner.inline(compiled))

    def _source(self, name: str, locale: str) -> str | None:
        """Return the source of a template: the override for the language, the override, or the built-in one."""
        if self._folder is not None and ".." not in PurePosixPath(name).parts:
            stem, _, ending = name.rpartition(".")
            overrides = (self._folder / f"{stem}.{locale}.{ending}", self._folder / name)
            for path in overrides if locale else overrides[1:]:
                if path.is_file():
                    return path.read_text(encoding="utf-8")
        built_in = files("latchstring.mail") / "templates" / name
        return built_in.read_text(encoding="utf-8") if built_in.is_file() else None

    def _html_source(self, name: str, locale: str) -> str:
        return self.compiled_html(MailKind(name.partition("/")[0]), locale)

    def _environment(self, locale: str, *, html: bool) -> Environment:
        environment = self._environments.get((locale, html))
        if environment is None:
            environment = self._environments[locale, html] = self._new_environment(locale, html=html)
        return environment

    def _new_environment(self, locale: str, *, html: bool) -> Environment:
        source = self._html_source if html else self._source
        environment = Environment(
            loader=FunctionLoader(lambda name: source(name, locale)),
            autoescape=html,  # noqa: S701  # the text part is plain text
            extensions=["jinja2.ext.i18n"],
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        environment.install_gettext_translations(translations("mail", locale), newstyle=True)  # type: ignore[attr-defined]  # the extension adds it
        environment.filters |= {"wrap": _wrap, "quote": _quote, "item": _item, "bold": _bold}
        return environment


BUILT_IN = MailTemplates()


class TemplateBroken(Exception):
    """A template cannot be used. The message names the template and the cause, for its author."""

    def __init__(self, kind: MailKind, form: str, cause: Exception) -> None:
        where = f", line {cause.lineno}" if isinstance(cause, TemplateSyntaxError) else ""
        super().__init__(f"{kind}/{form}{where}: {cause or type(cause).__name__}")


def load_templates(folder: str | None) -> MailTemplates:
    """Return the templates with the current overrides of a folder."""
    return BUILT_IN if folder is None else _templates_at(folder, _stamp(Path(folder)))


@lru_cache(maxsize=2)
def _templates_at(folder: str, _present: Stamp) -> MailTemplates:
    return MailTemplates(Path(folder))


def _stamp(folder: Path) -> Stamp:
    """Return a value that differs when a file was changed, added or removed."""
    files_state = []
    for path in list_override_files(folder):
        state = path.stat()
        files_state.append((str(path), state.st_mtime_ns, state.st_size))
    return tuple(files_state)


def list_override_files(folder: Path) -> list[Path]:
    """Return the files of a folder that may override built-in ones, sorted; none if the folder does not exist."""
    paths: list[Path] = []
    for directory in (folder, *(folder / kind for kind in MailKind)):
        try:
            paths += [Path(entry.path) for entry in os.scandir(directory) if entry.is_file()]
        except (FileNotFoundError, NotADirectoryError):
            continue
    return sorted(paths)


def _languages_of(folder: Path) -> frozenset[str]:
    """Return the languages that have overrides: `body.pt-BR.mjml`."""
    names = (path.name.split(".") for path in list_override_files(folder))
    return frozenset(name_parts[1] for name_parts in names if len(name_parts) == 3)  # noqa: PLR2004  # name, language, ending


def _follow_direction(html: str) -> str:
    """Replace left and right by the reading direction, which MJML does not support."""
    for fixed, flowing in _DIRECTIONS:
        html = fixed.sub(flowing, html)
    return html


def _wrap(text: str, indent: str = "", first: str | None = None) -> str:
    return textwrap.fill(
        text,
        WIDTH,
        initial_indent=indent if first is None else first,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _quote(text: str) -> str:
    """Indent a user's message by four spaces, to set it apart from our text."""
    return "\n".join(_wrap(line, "    ") if line else "" for line in text.split("\n"))


def _item(text: str) -> str:
    return _wrap(text, "    ", "  - ")


def _bold(text: str) -> Markup:
    return Markup("<b>{}</b>").format(text)  # format() escapes its arguments
