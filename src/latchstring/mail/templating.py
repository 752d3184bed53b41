"""Templates of messages: MJML is compiled once, Jinja fills the rest in for each mail.

Two passes share a file. `[% %]` and `[[ ]]` put the parts of a message together before MJML sees it; `{{ }}` and
`{% %}` pass through the compiler untouched and are what a mail is rendered with. Each message has `subject.txt`,
`body.txt` (written by hand) and `body.mjml`.
"""

import re
import textwrap
from functools import cache
from importlib.resources import files

import css_inline
from jinja2 import BaseLoader, Environment, FunctionLoader, StrictUndefined, Template
from markupsafe import Markup
from mjml import mjml2html

from latchstring.domain.mail import MailKind
from latchstring.i18n import translations

_SIDES = (
    (re.compile(r"(?<![-\w])direction: ?ltr"), "direction:{{ direction }}"),
    (re.compile(r"text-align: ?left"), "text-align:{{ start }}"),
    (re.compile(r'align="left"'), 'align="{{ start }}"'),
    (re.compile(r"border-left:"), "border-{{ start }}:"),
    (re.compile(r"padding: ?0 0 0 18px"), "padding:0;padding-{{ start }}:18px"),
)
WIDTH = 72  # RFC 3676, section 4.2, asks for at most 78


def _source(name: str) -> str:
    return (files("latchstring.mail") / "templates" / name).read_text(encoding="utf-8")


@cache
def compiled_html(kind: MailKind) -> str:
    """The message's HTML with its placeholders, base rules inlined for readers that drop style sheets.

    Compiled once a process: MJML and inlining cost more than everything else about a mail.
    """
    parts = Environment(
        loader=FunctionLoader(_source),
        autoescape=False,  # noqa: S701  # our own files are joined; nothing from outside is in them
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


def _follow_direction(html: str) -> str:
    """Let sides follow the reading direction: MJML knows left and right only."""
    for fixed, flowing in _SIDES:
        html = fixed.sub(flowing, html)
    return html


def _html_source(name: str) -> str:
    return compiled_html(MailKind(name.partition("/")[0]))


@cache
def _environment(locale: str, *, html: bool) -> Environment:
    loader: BaseLoader = FunctionLoader(_html_source if html else _source)
    found = Environment(
        loader=loader,
        autoescape=html,  # noqa: S701  # the text part shows words as they are
        extensions=["jinja2.ext.i18n"],
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.install_gettext_translations(translations("mail", locale), newstyle=True)  # type: ignore[attr-defined]  # the extension adds it
    found.filters |= {"wrap": _wrap, "quote": _quote, "item": _item, "bold": _bold}
    return found


def subject_template(kind: MailKind, locale: str) -> Template:
    """The subject: plain text of one line."""
    return _environment(locale, html=False).get_template(f"{kind}/subject.txt")


def text_template(kind: MailKind, locale: str) -> Template:
    """The text part."""
    return _environment(locale, html=False).get_template(f"{kind}/body.txt")


def html_template(kind: MailKind, locale: str) -> Template:
    """The HTML part."""
    return _environment(locale, html=True).get_template(f"{kind}/body.html")


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
