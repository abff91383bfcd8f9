"""Show results on one HTML page, beside the figures of the papers' authors.

Each RUN is a JSON file of `burn-tf evaluate`, the table.json or the work directory of
`burn-tf compare`, or a work directory of `burn-tf pretrain`. With --model and --data the page also
shows sample images beside their nearest neighbours. It needs no network and reads well on a phone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from absl import flags as absl_flags

from burn_tf._checks import UserError
from burn_tf.cli import models
from burn_tf.cli.pictures import pixels_of, spread_over
from burn_tf.cli.targets import check_file_target

if TYPE_CHECKING:
    import numpy as np

    from burn_tf.data import Source
    from burn_tf.report.page import Section

POSITIONAL = ("run",)
_SHOWN_SIDE = 96
_ONLY_WITH_MODEL = ("image_size", "neighbours", "queries", "images", "strict")


def register(flags: absl_flags.FlagValues) -> None:
    """The flags of `burn-tf report`."""
    absl_flags.DEFINE_multi_string("run", [], "a run, as a word or as a flag", flag_values=flags)
    absl_flags.DEFINE_string("html", "report.html", "file to write the page to", flag_values=flags)
    absl_flags.DEFINE_string("title", "", "heading; default: what the runs are", flag_values=flags)
    absl_flags.DEFINE_string(
        "model",
        None,
        f"for nearest neighbours: {models.MODEL_HELP}; or {models.RAW_PIXELS}",
        flag_values=flags,
    )
    absl_flags.DEFINE_string(
        "data",
        None,
        "for nearest neighbours: digits, a folder, tfds:NAME, list:FILE or synthetic:N; queries "
        "are test images, neighbours training images",
        flag_values=flags,
    )
    for name, default, text in (
        ("image_size", None, "pixels; needed where the model takes any size"),
        ("neighbours", 5, "pictures beside each query"),
        ("queries", 6, "how many test images, spread over the split"),
        ("images", 5000, "search among so many training images at most, spread over the split"),
    ):
        absl_flags.DEFINE_integer(name, default, text, lower_bound=1, flag_values=flags)
    absl_flags.DEFINE_boolean(
        "strict", False, "stop at an image that cannot be read", flag_values=flags
    )


def run(flags: absl_flags.FlagValues) -> int:
    """Read the runs, write the page, and print its tables."""
    from burn_tf.compare.table import failure_lines, shown
    from burn_tf.report import format_table
    from burn_tf.report.run_report import write_run_report
    from burn_tf.report.runs import read_runs

    _check_flags(flags)
    check_file_target("html", flags.html)
    runs = read_runs(flags.run)
    sections = write_run_report(
        flags.html,
        runs,
        title=flags.title,
        describe=lambda table: (shown(table), [*failure_lines(table), *table["notes"]]),
        extra=[] if flags.model is None else [_neighbours(flags)],
    )
    for section in sections:
        for table in section.tables:
            print(f"{section.heading}\n{format_table(table.rows)}\n")
    print(f"page: {flags.html}", flush=True)
    return 0


def _check_flags(flags: absl_flags.FlagValues) -> None:
    for name, other in (("model", "data"), ("data", "model")):
        if flags[name].value is not None and flags[other].value is None:
            raise UserError(f"`{name}` needs --{other} as well, to show nearest neighbours")
    for name in _ONLY_WITH_MODEL:
        if flags.model is None and flags[name].present:
            raise UserError(
                f"`{name}` is for nearest neighbours, which need --model and --data. "
                f"Received: {flags[name].value!r}"
            )


def _neighbours(flags: absl_flags.FlagValues) -> Section:
    """Test images, each beside the training images whose features are most similar."""
    import numpy as np

    from burn_tf.data import eval_dataset, load_source
    from burn_tf.evaluation import KNNProbe, extract_features
    from burn_tf.report.neighbours import neighbour_section

    model = models.load_features(flags.model, flags.image_size)
    side = models.needed_side(model, flags.image_size, "image_size")
    train, test = (load_source(flags.data, split=s, strict=flags.strict) for s in ("train", "test"))
    bank, queries = spread_over(train, flags.images), spread_over(test, flags.queries)
    bank_features, query_features = (
        extract_features(model, eval_dataset(part, image_size=side, batch_size=256))[0]
        for part in (bank, queries)
    )
    nearest, similarities = KNNProbe(flags.neighbours).neighbours(bank_features, query_features)
    used, places = np.unique(nearest, return_inverse=True)
    near, shown = bank.subset(used), min(side, _SHOWN_SIDE)
    return neighbour_section(
        places.reshape(nearest.shape),
        similarities,
        queries=pixels_of(queries, shown),
        bank=pixels_of(near, shown),
        query_labels=_labels(queries),
        bank_labels=_labels(near),
        class_names=train.class_names,
        notes=[
            f"Features of {flags.model} at {side} px. Queries are test images of {flags.data}, "
            f"neighbours come from {bank.num_images} of its {train.num_images} training images. "
            "The number is the cosine similarity; a dashed frame marks another class."
        ],
    )


def _labels(source: Source) -> np.ndarray | None:
    return source.targets if source.labels is None else source.labels
