"""Settings: every value of the configuration with its source. Pages never receive secrets."""

from collections.abc import Sequence
from itertools import groupby

from latchstring.admin.context import Panel
from latchstring.admin.routing import get
from latchstring.domain.panel import SETTINGS_READ
from latchstring.domain.views.settings import SettingSource, SettingView
from latchstring.http.responses import Answer


@get("/admin/settings", needs=SETTINGS_READ)
async def show_settings(panel: Panel) -> Answer:
    only_set = panel.query_value("only") == "set"
    settings = [
        setting for setting in panel.services.settings if not only_set or setting.source is not SettingSource.DEFAULT
    ]
    return panel.show("system/settings.html", tables=_by_table(settings), only_set=only_set, files=_files(panel))


def _by_table(settings: Sequence[SettingView]) -> list[tuple[str, list[SettingView]]]:
    ordered = sorted(settings, key=lambda setting: setting.table)  # stable: keys stay in the order of reading
    return [(table, list(group)) for table, group in groupby(ordered, key=lambda setting: setting.table)]


def _files(panel: Panel) -> list[str]:
    return sorted({setting.where for setting in panel.services.settings if setting.source is SettingSource.FILE})


routes = [show_settings]
