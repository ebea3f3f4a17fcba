"""The command ``fastae completion``: print a script that lets bash and zsh complete the command line."""

import argparse
import shlex
from collections.abc import Iterable

SCRIPT = """_fastae() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} command= i offered=
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${{COMP_WORDS[i]}} in -*) ;; *) command=${{COMP_WORDS[i]}}; break ;; esac
  done
  COMPREPLY=()
  case "$command $before" in
{values}
  esac
  if [ -z "$offered" ]; then
    case $command in
{options}
    esac
  fi
  COMPREPLY=($(compgen -W "$offered" -- "$word"))
}}
complete -o default -F _fastae fastae
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Describe the command, which has no options of its own."""
    parser.description = (
        "Print a script that lets a shell complete commands, options and the names that options take. For bash, put "
        'eval "$(fastae completion)" into ~/.bashrc. For zsh, put the same line into ~/.zshrc, after the line '
        "autoload -U compinit bashcompinit && compinit && bashcompinit."
    )


def run(options: argparse.Namespace) -> None:
    """Print the script."""
    from fastae import cli

    parsers = {"": cli.parser([])} | {name: _parser(name) for name in cli.COMMANDS}
    offered = {name: _words(parser) for name, parser in parsers.items()}
    values = {
        f"{name} {option}": known
        for name, parser in parsers.items()
        for action in parser._actions
        for option in action.option_strings
        if (known := _known(action, option))
    }
    print(SCRIPT.format(values=_cases(values), options=_cases(offered)), end="")


def _parser(name: str) -> argparse.ArgumentParser:
    """Return the parser of one command."""
    from fastae import cli

    (commands,) = (action for action in cli.parser([name])._actions if isinstance(action, argparse._SubParsersAction))
    parser: argparse.ArgumentParser = commands.choices[name]
    return parser


def _words(parser: argparse.ArgumentParser) -> list[str]:
    """Return a parser's options and the choices of its positional arguments."""
    words: list[str] = []
    for action in parser._actions:
        if action.help != argparse.SUPPRESS:
            words += action.option_strings or map(str, action.choices or ())
    return words


def _known(action: argparse.Action, option: str) -> list[str]:
    """Return the values that an option takes, if they have names."""
    from fastae import backends
    from fastae.activations import ACTIVATIONS
    from fastae.commands.network import LOSS_NAMES, MODELS
    from fastae.model import INITS
    from fastae.ranks.world import WAYS

    tables: dict[str, Iterable[str]] = {
        "--activation": ACTIVATIONS,
        "--backend": ("auto", *backends.names()),
        "--distributed": WAYS,
        "--dtype": ("float32", "float64"),
        "--init": INITS,
        "--loss": LOSS_NAMES,
        "--mode": ("captured", "eager", "persistent"),
        "--model": MODELS,
        "--product": ("forward", "backward", "update"),
        "--schedule": ("cosine", "constant"),
    }
    return [str(value) for value in (action.choices or tables.get(option, ()))]


def _cases(words: dict[str, list[str]]) -> str:
    lines = [f"{shlex.quote(case)}) offered={shlex.quote(' '.join(some))} ;;" for case, some in words.items()]
    return "\n".join(f"    {line}" for line in lines)
