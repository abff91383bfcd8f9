"""The command line: help without TensorFlow, nearest matches, one line and code 2 for mistakes."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import types
from pathlib import Path

import pytest
import tensorflow as tf
from absl import flags as absl_flags

from burn_tf._checks import UserError
from burn_tf.cli import main as cli

ROOT = Path(__file__).resolve().parents[2]


def launch(*words: str, code: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """A fresh process that runs the console script's function, then `code`."""
    program = (
        f"import sys, burn_tf_launcher as l\nexit_code = l.main()\n{code}\nsys.exit(exit_code)"
    )
    return subprocess.run(
        [sys.executable, "-c", program, *words],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A subcommand `echo` whose `run` is to be replaced by the test."""
    module = types.ModuleType("burn_tf.cli.echo", "Say a word.\n")

    def register(flags: absl_flags.FlagValues) -> None:
        absl_flags.DEFINE_string("word", None, "what to say", flag_values=flags)
        absl_flags.DEFINE_integer("times", 1, "how often", lower_bound=1, flag_values=flags)
        absl_flags.DEFINE_boolean("loud", False, "say it loud", flag_values=flags)
        absl_flags.mark_flag_as_required("word", flag_values=flags)

    module.register = register  # type: ignore[attr-defined]
    module.run = lambda flags: 0  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "burn_tf.cli.echo", module)
    monkeypatch.setitem(cli.COMMANDS, "echo", "say a word")
    return module


def fail_with(error: Exception) -> object:
    def run(flags: absl_flags.FlagValues) -> int:
        raise error

    return run


@pytest.mark.parametrize("words", [("--help",), ("help", "evaluate"), ("export", "--help")])
def test_help_does_not_import_tensorflow(words: tuple[str, ...]) -> None:
    done = launch(*words, code="assert 'tensorflow' not in sys.modules")
    assert done.returncode == 0, done.stderr
    assert "Usage: burn-tf" in done.stdout
    assert done.stderr == ""


def test_the_launcher_gives_the_real_package_to_a_command(tmp_path: Path) -> None:
    code = "import burn_tf; assert burn_tf.layers.RSign and burn_tf.__version__"
    output = tmp_path / "model.tflite"
    done = launch("export", "--model=untrained:resnet18", f"--output={output}", code=code)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("burn-tf: error: ")
    assert not output.exists()


def test_module_entry_point() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "burn_tf", "--version"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("burn_tf 0.")


@pytest.mark.parametrize("name", [name for name in cli.COMMANDS if name != "doctor"])
def test_every_command_lists_its_flags(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([name, "--help"]) == 0
    page = capsys.readouterr().out
    assert f"Usage: burn-tf {name}" in page
    assert "\n  --" in page


def test_no_command_shows_the_help_and_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 2
    assert "Usage: burn-tf COMMAND" in capsys.readouterr().err


def test_flags_reach_the_command(command: types.ModuleType) -> None:
    seen: dict[str, object] = {}

    def run(flags: absl_flags.FlagValues) -> int:
        seen.update(word=flags.word, times=flags.times, loud=flags.loud)
        return 7

    command.run = run  # type: ignore[attr-defined]
    assert cli.main(["echo", "--word=hey", "--times", "3", "--loud"]) == 7
    assert seen == {"word": "hey", "times": 3, "loud": True}


def test_words_fill_flags_in_their_order_and_the_last_may_take_all(
    command: types.ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[tuple[str, list[str]]] = []

    def register(flags: absl_flags.FlagValues) -> None:
        absl_flags.DEFINE_string("word", None, "what to say", flag_values=flags)
        absl_flags.DEFINE_multi_string("to", [], "whom to", flag_values=flags)
        absl_flags.DEFINE_boolean("loud", False, "say it loud", flag_values=flags)

    def run(flags: absl_flags.FlagValues) -> int:
        seen.append((flags.word, flags.to))
        return 0

    command.register, command.run = register, run  # type: ignore[attr-defined]
    command.POSITIONAL = ("word", "to")  # type: ignore[attr-defined]
    assert cli.main(["echo", "hey", "you", "--loud", "her", "--to=him"]) == 0
    assert cli.main(["echo", "hey"]) == 0
    assert seen == [("hey", ["him", "you", "her"]), ("hey", [])]
    assert "Usage: burn-tf echo WORD TO... [--flag" in cli.command_help("echo")
    command.POSITIONAL = ("word",)  # type: ignore[attr-defined]
    assert cli.main(["echo", "hey", "you"]) == 2
    assert "takes WORD and flags only" in capsys.readouterr().err


def test_a_flag_page_shows_defaults_and_what_is_required(command: types.ModuleType) -> None:
    page = cli.command_help("echo")
    assert "Say a word." in page
    assert "how often (default: 1)" in page
    assert "what to say (required)" in page
    assert "--[no]loud" in page and "(default: off)" in page


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["eco"], "unknown command 'eco'. Did you mean `burn-tf echo`?"),
        (["help", "eco"], "unknown command 'eco'. Did you mean `burn-tf echo`?"),
        (["echo", "--wrd=a"], "has no flag --wrd. Did you mean --word?"),
        (["echo", "--qqqqqq"], "has no flag --qqqqqq. See `burn-tf echo --help`."),
        (["echo"], "`burn-tf echo` needs --word. See `burn-tf echo --help`."),
        (["echo", "--word=a", "--times=0"], "--times=0"),
        (["echo", "--word=a", "--times=x"], "--times=x"),
        (["echo", "--word=a", "rest"], "takes flags only, such as --name=value. Received: 'rest'"),
    ],
)
def test_mistakes_in_words_are_one_line(
    words: list[str], expected: str, command: types.ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("burn-tf: error: ")
    assert expected in captured.err
    assert captured.err.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (UserError("`data` is empty.\n  Give another."), "`data` is empty. Give another."),
        (
            FileNotFoundError(errno.ENOENT, "No such file", "a.png"),
            "a.png: No such file (check the",
        ),
        (OSError(errno.ENOSPC, "No space left on device", "b"), "b: No space left on device (free"),
        (PermissionError(errno.EACCES, "Permission denied", "c"), "c: Permission denied (choose"),
        (OSError("plain"), "plain"),
        (ImportError("Keras 3 is active. Set it."), "Keras 3 is active. Set it. (`burn-tf doctor`"),
        (ModuleNotFoundError("No module named 'torch'", name="torch"), "No module named 'torch'"),
        (
            tf.errors.ResourceExhaustedError(None, None, "ckpt; No space left on device"),
            "ckpt; No space left on device (free some space there",
        ),
        (
            tf.errors.DataLossError(None, None, "corrupted record at 12 [Op:IteratorGetNext]"),
            "a file of packed images is damaged",
        ),
        (
            tf.errors.UnknownError(None, None, "UserError: no worker answers.\nTraceback: x"),
            "no worker answers.",
        ),
    ],
)
def test_expected_failures_are_one_line(
    error: Exception,
    expected: str,
    command: types.ModuleType,
    capsys: pytest.CaptureFixture[str],
) -> None:
    command.run = fail_with(error)  # type: ignore[attr-defined]
    assert cli.main(["echo", "--word=a"]) == 2
    shown = capsys.readouterr().err
    assert expected in shown
    assert shown.startswith("burn-tf: error: ") and shown.count("\n") == 1


@pytest.mark.parametrize(
    "error",
    [
        ValueError("a defect"),
        KeyError("a defect"),
        ImportError("cannot import name", name="burn_tf.layers"),
        tf.errors.InvalidArgumentError(None, None, "shapes do not match"),
    ],
)
def test_defects_keep_their_traceback(error: Exception, command: types.ModuleType) -> None:
    command.run = fail_with(error)  # type: ignore[attr-defined]
    with pytest.raises(type(error)):
        cli.main(["echo", "--word=a"])


def test_an_interrupt_is_not_a_traceback(
    command: types.ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(flags: absl_flags.FlagValues) -> int:
        raise KeyboardInterrupt

    command.run = run  # type: ignore[attr-defined]
    assert cli.main(["echo", "--word=a"]) == 130
    assert capsys.readouterr().err == "burn-tf: interrupted\n"


def test_keras_3_in_the_process_is_one_line_with_the_cure() -> None:
    program = (
        "import os, sys\nos.environ['TF_USE_LEGACY_KERAS'] = '0'\n"
        "import tensorflow as tf\ntf.keras\n"
        "import burn_tf_launcher\nsys.exit(burn_tf_launcher.main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "export", "--model=a.keras", "--output=b.tflite"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("burn-tf: error: ") and "TF_USE_LEGACY_KERAS=1" in last
    assert "Traceback" not in done.stderr


def test_memory_that_is_not_there_is_one_line(
    command: types.ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    tensor = tf.errors.ResourceExhaustedError(
        None, None, "{{node x}} OOM when allocating tensor with shape[9,9]\nHint: more"
    )
    for error, said in ((MemoryError("Unable to allocate 9 TiB"), "9 TiB"), (tensor, "shape[9,9]")):
        command.run = fail_with(error)  # type: ignore[attr-defined]
        assert cli.main(["echo", "--word=a"]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("burn-tf: error: not enough memory: take smaller")
        assert line.endswith(said)
