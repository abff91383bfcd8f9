"""List the models with weights, show a model's card, or fetch its weights for offline use."""

from __future__ import annotations

from absl import flags as absl_flags

from burn_tf._checks import UserError


def register(flags: absl_flags.FlagValues) -> None:
    """The flags of `burn-tf zoo`."""
    absl_flags.DEFINE_string(
        "list", None, "names to list, such as 'burn_*'; without any flag: all", flag_values=flags
    )
    absl_flags.DEFINE_string("card", None, "model whose card to show", flag_values=flags)
    absl_flags.DEFINE_string(
        "fetch", None, "model whose weights to put into the cache, checked", flag_values=flags
    )


def run(flags: absl_flags.FlagValues) -> int:
    """Print what was asked for."""
    asked = [name for name in ("list", "card", "fetch") if flags[name].value is not None]
    if len(asked) > 1:
        raise UserError(f"give one of --list, --card and --fetch. Received: --{' --'.join(asked)}")
    if flags.card is not None:
        from zoo.model_cards import card

        print(card(flags.card).rstrip())
    elif flags.fetch is not None:
        _fetch(flags.fetch)
    else:
        _list(flags.list)
    return 0


def _list(pattern: str | None) -> None:
    from zoo.manifest import get_entry, list_models

    names = list_models(pattern)
    if not names:
        raise UserError(f"no model has a name like that. Received: {pattern!r}")
    width = max(map(len, names))
    for name in names:
        entry = get_entry(name)
        print(f"{name:<{width}}  {entry.file().size / 1e6:5.1f} MB  {entry.summary}")


def _fetch(name: str) -> None:
    from zoo.download import fetch
    from zoo.manifest import get_entry

    for file in get_entry(name).files:
        print(fetch(file))
