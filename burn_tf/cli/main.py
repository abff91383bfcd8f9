"""Finds the subcommand, parses its flags, runs it, and turns a user's mistakes into one line.

Exit codes: 0 done, 2 a mistake that the user can repair (one line on stderr), 130 interrupted, 143
ended by SIGTERM.
Anything else that goes wrong is a defect of the library and keeps its traceback.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import importlib.metadata
import os
import sys
import textwrap
from collections.abc import Sequence
from types import ModuleType

from absl import flags as absl_flags

from burn_tf._checks import UserError, nearest
from burn_tf.cli.flag_values import check_values
from burn_tf.cli.quiet import quiet_stderr
from burn_tf.cli.termination import Terminated, termination_raised

COMMANDS = {
    "demo": "pretrain, probe, export and report on a small data set, from start to finish",
    "pretrain": "train a backbone without labels, from a recipe",
    "status": "show where runs of pretrain stand: step, time left, figures, checkpoint",
    "evaluate": "measure a backbone with a named protocol",
    "data": "check a set of images for damage, pack it into large files, serve its views",
    "compare": "pretrain with several methods alike, and set them side by side in one table",
    "analyse": "draw the papers' analyses: gradients, averages, embeddings, collapse",
    "report": "show results, comparisons and trainings on one page, beside the papers' figures",
    "export": "write a model as a file for phones",
    "benchmark": "measure a file: latency, memory, operators; or all kinds of file side by side",
    "convert": "read a PyTorch checkpoint into Keras models",
    "zoo": "list the models with weights, show a card, fetch weights for offline use",
    "doctor": "check this installation and say how to repair it",
}
# How absl words the check that `mark_flag_as_required` adds.
_REQUIRED = "must have a value other than None"
_CURES = {
    errno.ENOSPC: "free some space there, or choose another folder",
    errno.EACCES: "choose a folder or file that you may write to or read",
    errno.EROFS: "choose a folder on a disk that can be written to",
    errno.ENOENT: "check the path",
}
_OUT_OF_MEMORY = "not enough memory: take smaller images, smaller batches or fewer of them"
# Commands that run where the library itself cannot be imported, or need none of it.
_WITHOUT_LIBRARY = frozenset({"doctor", "status", "zoo"})
_HELP = frozenset({"help", "-h", "--help", "-help", "--helpfull", "--helpshort"})


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line.

    Args:
        argv: the words after the program's name; default: those of this process.

    Returns:
        The exit code.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        # pretrain sees to it by itself: what waits for other workers could not be left by raising.
        with contextlib.nullcontext() if words[:1] == ["pretrain"] else termination_raised():
            code = _dispatch(words)
            sys.stdout.flush()
            return code
    except Terminated:
        print("burn-tf: ended by SIGTERM", file=sys.stderr)
        return 143
    except KeyboardInterrupt:
        print("burn-tf: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of our output went away (`burn-tf ... | head`): nothing is left to say.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        line = user_line(error)
        if line is None:
            raise
        print(f"burn-tf: error: {line}", file=sys.stderr)
        return 2


def user_line(error: Exception) -> str | None:
    """The line to show instead of a traceback, or None where the traceback has to be seen."""
    if isinstance(error, (UserError, absl_flags.Error)):
        return _one_line(str(error))
    if isinstance(error, OSError):
        return _one_line(_describe_os_error(error))
    if isinstance(error, MemoryError):
        return f"{_OUT_OF_MEMORY}. Received: {_one_line(str(error)) or 'MemoryError'}"
    if isinstance(error, ImportError):
        return _describe_import_error(error)
    return _describe_tensorflow_error(error)


def _dispatch(words: list[str]) -> int:
    if not words:
        print(program_help(), file=sys.stderr)
        return 2
    if words[0] in _HELP:
        print(command_help(words[1]) if len(words) > 1 else program_help())
        return 0
    if words[0] in {"--version", "version"}:
        print(f"burn_tf {_version()}")
        return 0
    _check_command(words[0])
    if any(word in _HELP for word in words[1:]):
        print(command_help(words[0]))
        return 0
    return _run(words[0], words[1:])


def _run(command: str, words: list[str]) -> int:
    module = _module(command)
    flags = parse(module, command, words)
    # What TensorFlow's C++ side calls an error and does not raise is advice, such as on oneDNN.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Libraries below read absl's own flags, which nobody parses here.
    absl_flags.FLAGS.mark_as_parsed()
    if command not in _WITHOUT_LIBRARY:
        import_library()
    return int(module.run(flags))


def parse(module: ModuleType, command: str, words: Sequence[str]) -> absl_flags.FlagValues:
    """The flags of one subcommand, parsed from `words`.

    Words outside flags fill the flags that the module names in `POSITIONAL`, in that order; a flag
    of several values takes all that are left.

    Raises:
        UserError: for an unknown flag, a word too many, or a value that cannot be used.
    """
    flags = absl_flags.FlagValues()
    module.register(flags)
    positional = _positional(module)
    flags.set_gnu_getopt(bool(positional))
    try:
        rest = flags(["burn-tf", *words])[1:]
    except absl_flags.UnrecognizedFlagError as error:
        raise UserError(_unknown_flag(error.flagname, flags, command)) from error
    except absl_flags.IllegalFlagValueError as error:
        raise UserError(_refused_value(str(error), command)) from error
    for name in positional:
        flag = flags[name]
        while rest and (_takes_several(flag) or not flag.present):
            flag.parse(rest.pop(0))
    if rest:
        words_taken = "".join(f"{name.upper()} and " for name in _positional(module))
        raise UserError(
            f"`burn-tf {command}` takes {words_taken}flags only, such as --name=value. "
            f"Received: {rest[0]!r}"
        )
    check_values(flags)
    return flags


def _takes_several(flag: absl_flags.Flag) -> bool:
    return isinstance(flag, absl_flags.MultiFlag)


def _positional(module: ModuleType) -> tuple[str, ...]:
    """The flags that may also be given as bare words."""
    return tuple(getattr(module, "POSITIONAL", ()))


def import_library() -> None:
    """Run burn_tf/__init__.py, where the launcher has only put the package in place."""
    package = sys.modules["burn_tf"]
    spec = package.__spec__
    if hasattr(package, "__version__") or spec is None or spec.loader is None:
        return
    with quiet_stderr():
        spec.loader.exec_module(package)
        # The first look for a GPU is what reports that there is none.
        sys.modules["tensorflow"].config.list_physical_devices()


def program_help() -> str:
    """The page that `burn-tf --help` prints."""
    rows = [f"  {name:<10}{text}" for name, text in COMMANDS.items()]
    return "\n".join(
        [
            "Binary neural networks that learn without labels.",
            "",
            "Usage: burn-tf COMMAND [--flag=value ...]",
            "",
            *rows,
            "",
            "burn-tf COMMAND --help lists the flags of a command; burn-tf --version the version.",
        ]
    )


def command_help(command: str) -> str:
    """The page that `burn-tf COMMAND --help` prints."""
    _check_command(command)
    module = _module(command)
    flags = absl_flags.FlagValues()
    module.register(flags)
    rows = [row for name in sorted(flags) for row in _flag_rows(flags[name])]
    about = textwrap.dedent(module.__doc__ or "").strip()
    usage = " ".join(["burn-tf", command, *(_usage(flags[name]) for name in _positional(module))])
    return "\n".join([about, "", f"Usage: {usage} [--flag=value ...]", "", *rows]).rstrip()


def _usage(flag: absl_flags.Flag) -> str:
    return flag.name.upper() + ("..." if _takes_several(flag) else "")


def _flag_rows(flag: absl_flags.Flag) -> list[str]:
    name = f"--[no]{flag.name}" if flag.boolean else f"--{flag.name}"
    default = "" if flag.default is None else f" (default: {_default(flag)})"
    required = " (required)" if any(_REQUIRED in str(v.message) for v in flag.validators) else ""
    text = f"{flag.help or ''}{default}{required}"
    return [
        f"  {name}",
        *textwrap.wrap(text, 92, initial_indent=" " * 6, subsequent_indent=" " * 6),
    ]


def _default(flag: absl_flags.Flag) -> str:
    if flag.boolean:
        return "on" if flag.default else "off"
    return str(flag.default_as_str).strip("'")


def _module(command: str) -> ModuleType:
    return importlib.import_module(f"burn_tf.cli.{command}")


def _check_command(command: str) -> None:
    if command in COMMANDS:
        return
    guess = nearest(command, COMMANDS)
    hint = f" Did you mean `burn-tf {guess}`?" if guess else ""
    raise UserError(f"unknown command {command!r}.{hint} Commands: {', '.join(COMMANDS)}")


def _unknown_flag(name: str, flags: absl_flags.FlagValues, command: str) -> str:
    guess = nearest(name, list(flags))
    hint = f" Did you mean --{guess}?" if guess else f" See `burn-tf {command} --help`."
    return f"`burn-tf {command}` has no flag --{name}.{hint}"


def _refused_value(message: str, command: str) -> str:
    """absl's own words, but for a flag that is missing: those would speak of None."""
    if _REQUIRED not in message:
        return f"{message} (see `burn-tf {command} --help`)"
    name = message.split("--", 1)[1].split("=", 1)[0]
    return f"`burn-tf {command}` needs --{name}. See `burn-tf {command} --help`."


def _version() -> str:
    try:
        return importlib.metadata.version("burn_tf")
    except importlib.metadata.PackageNotFoundError:
        # Run from a checkout that was not installed.
        import_library()
        return str(sys.modules["burn_tf"].__version__)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _describe_os_error(error: OSError) -> str:
    cure = _CURES.get(error.errno or 0)
    what = error.strerror or str(error) or type(error).__name__
    where = f"{error.filename}: " if error.filename is not None else ""
    return f"{where}{what}{f' ({cure})' if cure else ''}"


def _describe_import_error(error: ImportError) -> str | None:
    """One line for what is missing outside burn_tf; None for a fault inside it."""
    if (error.name or "").split(".")[0] in {"burn_tf", "zoo"}:
        return None
    return _one_line(f"{error} (`burn-tf doctor` checks the installation)")


def _describe_tensorflow_error(error: Exception) -> str | None:
    """TensorFlow reports a full disk or a missing file with its own classes, not as OSError."""
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow is None or not isinstance(error, tensorflow.errors.OpError):
        return None
    message = str(error.message)
    if isinstance(error, tensorflow.errors.ResourceExhaustedError) and "OOM" in message:
        said = message[message.index("OOM") :].splitlines()[0]
        return f"{_OUT_OF_MEMORY}. Received: {_one_line(said)}"
    # What a tf.data pipeline raises in Python arrives as text with a traceback inside.
    _, ours, text = message.partition("UserError: ")
    if ours:
        return _one_line(text.splitlines()[0])
    if "corrupted record at" in message or "truncated record at" in message:
        return "a file of packed images is damaged: `burn-tf data check` tells which; pack it anew"
    cures = {os.strerror(n).removesuffix(" or directory"): cure for n, cure in _CURES.items()}
    found = next((cause for cause in cures if cause in message), None)
    return None if found is None else f"{_one_line(message)} ({cures[found]})"
