"""Which run a work directory belongs to: `run.json`, and the refusal of any other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from burn_tf._checks import UserError
from burn_tf._files import atomic_write
from burn_tf.data import Source
from burn_tf.recipes import Recipe
from burn_tf.training.building import join_head
from burn_tf.training.model_files import load_backbone, network_digests
from burn_tf.training.teacher_cache import TeacherCache
from burn_tf.watching.run_files import HEAD_FILES, RUN_FILE


def identity_of(recipe: Recipe, source: Source, cache: TeacherCache | None) -> Any:
    """What a run is, as JSON would give it back."""
    wanted = {"recipe": recipe.to_dict(), "data": source.fingerprint, "images": source.num_images}
    if cache is not None:
        wanted["cached_views"] = cache.views
    digests = _teacher_digests(recipe)
    if digests:
        wanted["teacher"] = digests
    return json.loads(json.dumps(wanted))


def claim(folder: Path, wanted: Any) -> None:
    """Record what this work directory is for, or refuse one that is for something else."""
    folder.mkdir(parents=True, exist_ok=True)
    record = folder / RUN_FILE
    if not record.exists():
        atomic_write(record, json.dumps(wanted, indent=2) + "\n")
        return
    try:
        found = json.loads(record.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{record} is damaged: delete it, or use another work directory") from error
    if isinstance(found, dict) and "teacher" not in found:
        # Of a run that knows its teacher by its path alone.
        wanted = {name: value for name, value in wanted.items() if name != "teacher"}
    found, wanted = _unplaced(found), _unplaced(wanted)
    if found != wanted:
        differing = ", ".join(_differences(found, wanted)) or "format"
        raise UserError(
            f"{folder} belongs to a run of another configuration (differs in {differing}): use "
            "another work directory or delete it"
        )


def _teacher_digests(recipe: Recipe) -> dict[str, str]:
    """Digests of the networks that the recipe's teacher is read from, by the names of their keys.

    Raises:
        UserError: a file that is no Keras model, or a head that does not fit.
    """
    options = recipe.teacher
    if not recipe.method.teacher or options is None or options.weights is None:
        return {}
    networks = {"weights": load_backbone(options.weights)}
    if recipe.method.teacher in HEAD_FILES and options.head is not None:
        networks["head"] = load_backbone(options.head)
        join_head(networks["weights"], networks["head"])
    return network_digests(networks)


def _unplaced(identity: Any) -> Any:
    """Without the paths of the teacher's files, whose contents count."""
    try:
        recipe, digests = identity["recipe"], identity["teacher"]
        teacher = {**recipe["teacher"], **dict.fromkeys(digests)}
    except (KeyError, TypeError):
        return identity
    return {**identity, "recipe": {**recipe, "teacher": teacher}}


def _differences(found: Any, wanted: Any, prefix: str = "") -> list[str]:
    if not (isinstance(found, dict) and isinstance(wanted, dict)):
        return [] if found == wanted else [prefix.rstrip(".")]
    keys = sorted({*found, *wanted})
    return [
        name
        for key in keys
        for name in _differences(found.get(key), wanted.get(key), f"{prefix}{key}.")
    ]
