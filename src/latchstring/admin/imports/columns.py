"""Guessing what a column of somebody's spreadsheet is for, by its heading in any of the languages we speak."""

import re
import unicodedata
from collections.abc import Sequence

from latchstring.formats.email_address import AddressRefused, parse_address
from latchstring.formats.invitation_input import COLUMNS, clean_cell

ADDRESS = "inviteEmail"
# en, de, fr, es, pt-BR, it, nl, pl, ar, he, ja, zh-Hans. Two languages may use one word: the first field wins.
_WORDS = {
    "inviteEmail": (
        "email|mail|email address|invite email|email 1 value|mailadresse|email adresse|adresse email|adresse mail|"
        "courriel|adresse électronique|correo|correo electrónico|dirección de correo|endereço de email|"
        "correio eletrônico|"
        "indirizzo email|posta elettronica|emailadres|mailadres|adres email|adres e-mail|poczta|البريد الإلكتروني|بريد|"
        "البريد|אימייל|דואל|דואר אלקטרוני|כתובת אימייל|メール|メールアドレス|电子邮件|电子邮箱|邮箱|邮件|邮箱地址"
    ),
    "firstName": (
        "first name|firstname|given name|forename|vorname|prénom|nombre|nome|primeiro nome|nome proprio|voornaam|imię|"
        "الاسم الأول|الاسم|שם פרטי|名|名前|下の名前|名字"
    ),
    "lastName": (
        "last name|lastname|surname|family name|nachname|familienname|nom|nom de famille|apellido|apellidos|sobrenome|"
        "cognome|achternaam|familienaam|nazwisko|اسم العائلة|اللقب|שם משפחה|姓|苗字|名字 (姓)|姓氏"
    ),
    "role": "role|rolle|rôle|rol|papel|função|ruolo|rola|دور|الدور|תפקיד|ロール|役割|角色",
    "groups": (
        "group|groups|gruppe|gruppen|groupe|groupes|grupo|grupos|gruppo|gruppi|groep|groepen|grupa|grupy|مجموعة|"
        "المجموعات|קבוצה|קבוצות|グループ|组|群组|小组|分组"
    ),
    "content": (
        "content|inhalt|inhalte|contenu|contenus|contenido|contenidos|conteúdo|contenuto|contenuti|inhoud|treść|treści|"
        "محتوى|المحتوى|תוכן|コンテンツ|内容"
    ),
    "message": (
        "message|personal message|nachricht|mensaje|mensagem|messaggio|bericht|wiadomość|رسالة|الرسالة|הודעה|"
        "メッセージ|消息|留言"
    ),
    "locale": "locale|language|sprache|langue|idioma|lingua|taal|język|لغة|اللغة|שפה|言語|语言",
    "expiresIn": (
        "expires in|valid for|validity|gültig|gültigkeit|gültig für|validité|validez|validade|validità|geldigheid|"
        "ważność|صلاحية|תוקף|有効期間|有効期限|有效期"
    ),
    "template": "template|vorlage|modèle|plantilla|modelo|modello|sjabloon|szablon|قالب|תבנית|テンプレート|模板",
    "metadata": "metadata|metadaten|métadonnées|metadatos|metadados|metadati|metagegevens|metadane",
    "redirectUrl": "redirect url|redirect|weiterleitung|redirection",
}


def _plain(heading: str) -> str:
    """A heading without case, blanks, hyphens and accents that people leave out."""
    folded = unicodedata.normalize("NFKD", heading).casefold()
    return re.sub(r"[\W_]", "", "".join(one for one in folded if not unicodedata.combining(one)))


_FIELDS: dict[str, str] = {}
for _field, _text in _WORDS.items():
    for _word in (_field, *_text.split("|")):
        _FIELDS.setdefault(_plain(_word), _field)


def guess(heading: str) -> str | None:
    """The field a heading names in one of our languages."""
    return _FIELDS.get(_plain(heading)) if heading.strip() else None


def looks_like_address(cell: str) -> bool:
    """Whether somebody's address stands here, and no heading."""
    try:
        parse_address(clean_cell(cell))
    except AddressRefused:
        return False
    return True


def is_heading(cells: Sequence[str]) -> bool:
    """Whether the first line of a file says what is below it: an address says nothing of that."""
    return not any(looks_like_address(cell) for cell in cells)


def guess_columns(cells: Sequence[str]) -> list[str | None]:
    """The field of each column, each at most once; in a file without headings the first address makes the column."""
    if not is_heading(cells):
        first = next(place for place, cell in enumerate(cells) if looks_like_address(cell))
        return [ADDRESS if place == first else None for place in range(len(cells))]
    found: list[str | None] = []
    for cell in cells:
        field = guess(cell)
        found.append(field if field not in found else None)
    return found


def is_field(name: str) -> bool:
    """Whether a column may be this."""
    return name in COLUMNS
