"""Problems of a configuration, collected so that an operator can fix all of them at once."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ConfigProblem:
    """One invalid key. value: safe to display, secrets are already masked."""

    key: str
    value: str | None
    remedy: str

    def __str__(self) -> str:
        head = self.key if self.value is None else f"{self.key} = {self.value}"
        return f"{head}\n    {self.remedy}"


class ConfigProblems(Exception):
    """All problems of the configuration. The text is for the operator's terminal."""

    def __init__(self, problems: Iterable[ConfigProblem], source: str = "The configuration") -> None:
        self.problems = tuple(problems)
        self.source = source
        count = "1 problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        lines = "\n\n".join(f"  {problem}" for problem in self.problems)
        super().__init__(f"{source} has {count}. Nothing was started.\n\n{lines}")
