"""Guess the field of each column of a spreadsheet from its heading, in all supported languages."""

import re
import unicodedata
from collections.abc import Sequence

from latchstring.formats.email_address import AddressRefused, parse_address
from latchstring.formats.invitation_input import COLUMNS, clean_cell

ADDRESS = "inviteEmail"
# en, de, fr, es, pt-BR, it, nl, pl, ar, he, ja, zh-Hans. If two languages share a word, the first field wins.
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


def _normalize_heading(heading: str) -> str:
    """A heading without case, spaces, hyphens and accents."""
    folded = unicodedata.normalize("NFKD", heading).casefold()
    return re.sub(r"[\W_]", "", "".join(character for character in folded if not unicodedata.combining(character)))


_FIELDS: dict[str, str] = {}
for _field, _text in _WORDS.items():
    for _word in (_field, *_text.split("|")):
        _FIELDS.setdefault(_normalize_heading(_word), _field)


def guess_field(heading: str) -> str | None:
    """The field that a heading names in a supported language; None if unknown."""
    return _FIELDS.get(_normalize_heading(heading)) if heading.strip() else None


def looks_like_address(cell: str) -> bool:
    """Whether a cell contains an e-mail address."""
    try:
        parse_address(clean_cell(cell))
    except AddressRefused:
        return False
    return True


def is_heading(cells: Sequence[str]) -> bool:
    """Whether the first line of a file is a header: it contains no e-mail address."""
    return not any(looks_like_address(cell) for cell in cells)


def guess_columns(cells: Sequence[str]) -> list[str | None]:
    """The field of each column, each at most once. Without a header, only the first column with an address has one."""
    if not is_heading(cells):
        first = next(index for index, cell in enumerate(cells) if looks_like_address(cell))
        return [ADDRESS if index == first else None for index in range(len(cells))]
    fields: list[str | None] = []
    for cell in cells:
        field = guess_field(cell)
        fields.append(field if field not in fields else None)
    return fields


def is_field(name: str) -> bool:
    """Whether a column can be this field."""
    return name in COLUMNS
