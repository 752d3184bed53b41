"""Reads the configuration once, checks all of it, and fails with a list of every problem."""

from latchstring.config.database import DatabaseSettings
from latchstring.config.problems import ConfigProblem, ConfigProblems
from latchstring.config.settings import DEFAULT_FILE, Config, Secrets, load_config

__all__ = ["DEFAULT_FILE", "Config", "ConfigProblem", "ConfigProblems", "DatabaseSettings", "Secrets", "load_config"]
