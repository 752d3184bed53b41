"""Templates of messages: MJML is compiled once, Jinja fills the rest in for each mail.

Two passes share a file. `[% %]` and `[[ ]]` put the parts of a message together before MJML sees it; `{{ }}` and
`{% %}` pass through the compiler untouched and are what a mail is rendered with. Each message has `subject.txt`,
`body.txt` (written by hand) and `body.mjml`.

A folder of the operator's may hold files of the same names, which are taken instead, and beside them one for a single
language: `invitation/body.de.mjml` before `invitation/body.mjml`. Changed files count from the next mail on.
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
WIDTH = 72  # RFC 3676, section 4.2, asks for at most 78
_SIDES = (
    (re.compile(r"(?<![-\w])direction: ?ltr"), "direction:{{ direction }}"),
    (re.compile(r"text-align: ?left"), "text-align:{{ start }}"),
    (re.compile(r'align="left"'), 'align="{{ start }}"'),
    (re.compile(r"border-left:"), "border-{{ start }}:"),
    (re.compile(r"padding: ?0 0 0 18px"), "padding:0;padding-{{ start }}:18px"),
)
Stamp = tuple[tuple[str, int, int], ...]


class MailTemplates:
    """The templates of one installation. What was read is kept: a change of the folder makes another object."""

    def __init__(self, folder: Path | None = None) -> None:
        """folder: where files that replace ours are looked for; None: ours only."""
        self._folder = folder
        self._languages = _languages_of(folder) if folder else frozenset()
        self._compiled: dict[tuple[MailKind, str], str] = {}
        self._environments: dict[tuple[str, bool], Environment] = {}

    @property
    def is_built_in(self) -> bool:
        """Whether nothing can be replaced."""
        return self._folder is None

    def subject(self, kind: MailKind, locale: str) -> Template:
        """The subject: plain text of one line."""
        return self._environment(locale, html=False).get_template(f"{kind}/subject.txt")

    def text(self, kind: MailKind, locale: str) -> Template:
        """The text part."""
        return self._environment(locale, html=False).get_template(f"{kind}/body.txt")

    def html(self, kind: MailKind, locale: str) -> Template:
        """The HTML part."""
        return self._environment(locale, html=True).get_template(f"{kind}/body.html")

    def compiled_html(self, kind: MailKind, locale: str) -> str:
        """The message's HTML with its placeholders, base rules inlined for readers that drop style sheets.

        Compiled once: MJML and inlining cost more than everything else about a mail.
        """
        language = locale if locale in self._languages else ""
        found = self._compiled.get((kind, language))
        if found is None:
            found = self._compiled[kind, language] = self._compile(kind, language)
        return found

    def _compile(self, kind: MailKind, language: str) -> str:
        parts = Environment(
            loader=FunctionLoader(lambda name: self._source(name, language)),
            autoescape=False,  # noqa: S701  # our own and the operator's files are joined; nothing else is in them
            block_start_string="[%",
            block_end_string="%]",
            variable_start_string="[[",
            variable_end_string="]]",
            comment_start_string="[#",
            comment_end_string="#]",
            undefined=StrictUndefined,
        )
        compiled: str = mjml2html(parts.get_template(f"{kind}/body.mjml").render())
        inliner = css_inline.CSSInliner(keep_style_tags=True, load_remote_stylesheets=False)
        return _follow_direction(inliner.inline(compiled))

    def _source(self, name: str, locale: str) -> str | None:
        """The text of a template: the operator's for the language, the operator's, ours."""
        if self._folder is not None and ".." not in PurePosixPath(name).parts:
            stem, _, ending = name.rpartition(".")
            own = (self._folder / f"{stem}.{locale}.{ending}", self._folder / name)
            for path in own if locale else own[1:]:
                if path.is_file():
                    return path.read_text(encoding="utf-8")
        found = files("latchstring.mail") / "templates" / name
        return found.read_text(encoding="utf-8") if found.is_file() else None

    def _html_source(self, name: str, locale: str) -> str:
        return self.compiled_html(MailKind(name.partition("/")[0]), locale)

    def _environment(self, locale: str, *, html: bool) -> Environment:
        found = self._environments.get((locale, html))
        if found is None:
            found = self._environments[locale, html] = self._new_environment(locale, html=html)
        return found

    def _new_environment(self, locale: str, *, html: bool) -> Environment:
        source = self._html_source if html else self._source
        made = Environment(
            loader=FunctionLoader(lambda name: source(name, locale)),
            autoescape=html,  # noqa: S701  # the text part shows words as they are
            extensions=["jinja2.ext.i18n"],
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        made.install_gettext_translations(translations("mail", locale), newstyle=True)  # type: ignore[attr-defined]  # the extension adds it
        made.filters |= {"wrap": _wrap, "quote": _quote, "item": _item, "bold": _bold}
        return made


BUILT_IN = MailTemplates()


class TemplateBroken(Exception):
    """A template cannot be used. The text says which and why, for whoever wrote it."""

    def __init__(self, kind: MailKind, form: str, cause: Exception) -> None:
        where = f", line {cause.lineno}" if isinstance(cause, TemplateSyntaxError) else ""
        super().__init__(f"{kind}/{form}{where}: {cause or type(cause).__name__}")


def templates_in(folder: str | None) -> MailTemplates:
    """The templates with the files of this folder in the place of ours, as they are now."""
    return BUILT_IN if folder is None else _templates_at(folder, _stamp(Path(folder)))


@lru_cache(maxsize=2)
def _templates_at(folder: str, _present: Stamp) -> MailTemplates:
    return MailTemplates(Path(folder))


def _stamp(folder: Path) -> Stamp:
    """What tells whether a file was changed, added or taken away."""
    found = []
    for path in own_files(folder):
        state = path.stat()
        found.append((str(path), state.st_mtime_ns, state.st_size))
    return tuple(found)


def own_files(folder: Path) -> list[Path]:
    """Every file that may take the place of one of ours, by its path; an absent folder has none."""
    found: list[Path] = []
    for place in (folder, *(folder / kind for kind in MailKind)):
        try:
            found += [Path(entry.path) for entry in os.scandir(place) if entry.is_file()]
        except (FileNotFoundError, NotADirectoryError):
            continue
    return sorted(found)


def _languages_of(folder: Path) -> frozenset[str]:
    """The languages that have a file of their own: `body.pt-BR.mjml`."""
    parts = (path.name.split(".") for path in own_files(folder))
    return frozenset(found[1] for found in parts if len(found) == 3)  # noqa: PLR2004  # name, language, ending


def _follow_direction(html: str) -> str:
    """Let sides follow the reading direction: MJML knows left and right only."""
    for fixed, flowing in _SIDES:
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
    """A person's words, set in by four spaces, which nothing of ours is."""
    return "\n".join(_wrap(line, "    ") if line else "" for line in text.split("\n"))


def _item(text: str) -> str:
    return _wrap(text, "    ", "  - ")


def _bold(text: str) -> Markup:
    return Markup("<b>{}</b>").format(text)  # format escapes what it is given
