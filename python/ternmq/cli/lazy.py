"""A command group that imports a command's module when it is first needed."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import rich_click as click
from click.exceptions import NoSuchCommand


class LazyGroup(click.RichGroup):
    """A group whose commands are named as ``"module:attribute"`` and imported on use.

    Args:
        lazy: command name to the import path of its object, in the order in which help lists them.
        hidden: names that run but that help does not list; they are never imported for it.
    """

    def __init__(
        self, *args: Any, lazy: Mapping[str, str] | None = None, hidden: frozenset[str] = frozenset(), **extra: Any
    ) -> None:
        super().__init__(*args, **extra)
        self._lazy = dict(lazy or {})
        self._unlisted = hidden

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the commands in the order in which they were given."""
        return [*super().list_commands(ctx), *(name for name in self._lazy if name not in self._unlisted)]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command of a command line; one that is mistyped is answered with what it is near to."""
        try:
            return super().resolve_command(ctx, args)
        except NoSuchCommand as error:
            if error.possibilities:
                raise
            raise NoSuchCommand(args[0], possibilities=self.list_commands(ctx), ctx=ctx) from None

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Find a command; its module is imported here and not before."""
        import_path = self._lazy.get(cmd_name)
        if import_path is None:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = import_path.partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command), import_path
        return command
