"""`vae-jax completion`: a script by which bash completes commands, configs, and the flags of `train` and `sweep`."""

import typing
from collections.abc import Sequence
from typing import Any

from rich.console import Console

from vae_jax.commands.parse import parse
from vae_jax.config.files import config_names, load_config
from vae_jax.config.naming import field_types
from vae_jax.config.rules import flag

_SCRIPT = """_vae_jax() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} verb=${{COMP_WORDS[1]}}
  if ((COMP_CWORD == 1)); then
    COMPREPLY=($(compgen -W "{commands}" -- "$word"))
  elif [[ $verb != train && $verb != sweep ]]; then
    COMPREPLY=($(compgen -f -- "$word"))
  elif ((COMP_CWORD == 2)); then
    COMPREPLY=($(compgen -W "{configs}" -- "$word") $(compgen -f -X '!*.py' -- "$word"))
  elif [[ $word == -* ]]; then
    COMPREPLY=($(compgen -W "{flags}" -- "$word"))
  else
    case $before in
{choices}
      *) COMPREPLY=($(compgen -f -- "$word")) ;;
    esac
  fi
}}
complete -o filenames -F _vae_jax vae-jax
"""
# Options of `train` and `sweep` themselves.
_OPTIONS = ("--out", "--quick", "--distributed", "--over", "--seeds", "--help", "--help-all")


def completion_command(commands: Sequence[str], arguments: list[str]) -> int:
    """Print the script that completes these commands."""

    def completion() -> int:
        """Print a script for bash: eval "$(vae-jax completion)". It completes commands, configs, and flags of train."""
        Console(soft_wrap=True, markup=False, highlight=False).print(script(commands), end="")
        return 0

    return parse("completion", completion, arguments)


def script(commands: Sequence[str]) -> str:
    """The script, as text."""
    values: dict[str, tuple[str, ...]] = {"--system": ()}
    for field, hint in field_types(load_config(config_names()[0])).items():
        values[flag(field)] = _choices(hint)
        if hint is bool:
            values[flag(f"no_{field}")] = ()
    few = {name: " ".join(words) for name, words in values.items() if words}
    cases = [f'      {name}) COMPREPLY=($(compgen -W "{words}" -- "$word")) ;;' for name, words in few.items()]
    return _SCRIPT.format(
        commands=" ".join(commands),
        configs=" ".join(config_names()),
        flags=" ".join([*_OPTIONS, *values]),
        choices="\n".join(cases),
    )


def _choices(hint: Any) -> tuple[str, ...]:
    """The words that a field may be, where they are few."""
    parts = typing.get_args(hint)
    if typing.get_origin(hint) is typing.Literal:
        return tuple(map(str, parts))
    # A truth value that may be left open is written out; the others are flags with a `--no-` beside them.
    words = ("True", "False") if bool in parts else ()
    return words + tuple(word for part in parts for word in _choices(part))
