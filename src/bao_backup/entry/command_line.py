"""What stands on the command line of the command that runs, beside what its options are by default."""

from __future__ import annotations

from collections.abc import Mapping

import click
from click.core import ParameterSource

from bao_backup.core.errors import ConfigurationError


def on_command_line() -> dict[str, str]:
    """Name -> option ("--from"), of those that stand there."""
    context = click.get_current_context()
    return {
        each.name: each.opts[0]
        for each in context.command.params
        if each.name and context.get_parameter_source(each.name) is ParameterSource.COMMANDLINE
    }


def check_empty(doing: str, given: Mapping[str, object]) -> None:
    """ConfigurationError for an option without a value, as a variable that is not set leaves it.

    It would count as if it were not there: what is expected of a backup would not be looked at.

    Args:
        doing: what the command does.
        given: name -> value, of its options.
    """
    for name, option in on_command_line().items():
        value = given.get(name)
        if isinstance(value, str) and not value.strip().removeprefix("sha256:"):
            raise ConfigurationError(
                doing, f"{option} is empty", hint=f"leave {option} out, or give it a value"
            )
