"""`oauth-callback completion`: a script that completes commands and options in a shell."""

from __future__ import annotations

from importlib import import_module

from oauth_callback.cli.arguments import Parser
from oauth_callback.cli.output import print_result
from oauth_callback.cli.table import COMMANDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    # An option, and the words that may follow it.
    Options = Mapping[str, Sequence[str]]


def add_arguments(parser: Parser) -> None:
    """Add the arguments."""
    parser.add_argument("shell", choices=SCRIPTS, help="print its script")


def run(parser: Parser, arguments: Sequence[str]) -> int:
    """Print the script. Raises OSError."""
    options = parser.read(arguments)
    print_result(SCRIPTS[options.shell]({name: words_of(name) for name in COMMANDS}))
    return 0


def words_of(command: str) -> Options:
    """Return the options of a command, and under "" the words of its first argument."""
    module_name, summary = COMMANDS[command]
    parser = Parser(command, summary)
    import_module(f"oauth_callback.cli.commands.{module_name}").add_arguments(parser)
    words: dict[str, list[str]] = {"": []}
    for action in parser._actions:  # noqa: SLF001 - argparse has no other list
        choices = [str(each) for each in action.choices or ()]
        if not action.option_strings:
            words[""] = words[""] or choices
        for name in action.option_strings:
            if name.startswith("--"):
                words[name] = choices
    return words


def _bash(commands: Mapping[str, Options]) -> str:
    cases = "\n".join(
        f"        {name}) words='{' '.join([*words[''], *filter(None, words)])}' ;;"
        for name, words in commands.items()
    )
    values = "\n".join(
        f"        {name}\\ {option}) words='{' '.join(choices)}' ;;"
        for name, words in commands.items()
        for option, choices in words.items()
        if option and choices
    )
    return f"""_oauth_callback() {{
    local words command=${{COMP_WORDS[1]}} previous=${{COMP_WORDS[COMP_CWORD - 1]}}
    case $command in
{cases}
    esac
    case $command\\ $previous in
{values}
    esac
    [ "$COMP_CWORD" -eq 1 ] && words='{" ".join(commands)}'
    COMPREPLY=($(compgen -W "$words" -- "${{COMP_WORDS[COMP_CWORD]}}"))
}}
complete -o default -F _oauth_callback oauth-callback
"""


def _zsh(commands: Mapping[str, Options]) -> str:
    names = "\n".join(f"        '{name}:{COMMANDS[name][1]}'" for name in commands)
    cases = "\n".join(
        f"        {name}) _arguments {_zsh_options(words)} '*:file:_files' ;;"
        for name, words in commands.items()
    )
    return f"""#compdef oauth-callback
_oauth_callback() {{
    local -a commands=(
{names}
    )
    if (( CURRENT == 2 )); then
        _describe command commands
        return
    fi
    local command=$words[2]
    shift words
    (( CURRENT-- ))
    case $command in
{cases}
    esac
}}
compdef _oauth_callback oauth-callback
"""


def _zsh_options(words: Options) -> str:
    first = [f"'1:value:({' '.join(words[''])})'"] if words[""] else []
    options = [
        f"'{name}=:value:({' '.join(choices)})'" if choices else f"'{name}'"
        for name, choices in words.items()
        if name
    ]
    return " ".join([*options, *first])


def _fish(commands: Mapping[str, Options]) -> str:
    lines = []
    for name, words in commands.items():
        lines.append(f"-n __fish_use_subcommand -f -a {name} -d '{COMMANDS[name][1]}'")
        seen = f"-n '__fish_seen_subcommand_from {name}'"
        if words[""]:
            lines.append(f"{seen} -f -a '{' '.join(words[''])}'")
        lines += [
            f"{seen} -l {option[2:]}" + (f" -x -a '{' '.join(choices)}'" if choices else "")
            for option, choices in words.items()
            if option
        ]
    return "".join(f"complete -c oauth-callback {line}\n" for line in lines)


SCRIPTS = {"bash": _bash, "zsh": _zsh, "fish": _fish}
