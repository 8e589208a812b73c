"""Values that nobody meant: a template that was never rendered, an example's words, a comment behind the value."""

import re

# What shells, Helm, Ansible, Jinja and pages for copying leave behind. `${user.home}` is Apache's own and is replaced.
_TEMPLATE = re.compile(r"\$\{(?!user\.home\})|\$\(|\$[A-Za-z_]\w*|\{\{|%\w+%|@\w+@|<[^<>]*>")


def placeholder_problem(text: str) -> str | None:
    """Say what is wrong with a text that holds a placeholder; None if it holds none."""
    found = _TEMPLATE.search(text)
    if found is None:
        return None
    return f'holds "{found.group()}", a placeholder that nothing fills in here; write the value itself'


def value_problem(value: str) -> str | None:
    """Say what makes a value one that nobody meant; None if nothing does."""
    if re.search(r"\s#", value):
        return "has a comment behind it, which is part of the value in a properties file; give it a line of its own"
    return placeholder_problem(value)
