"""Fine-tune a pretrained binary backbone on labelled images, then write it as a file for phones.

    python finetune.py
    python finetune.py --data photos --backbone burn_reactnet_a --freeze 2 --epochs 10
    python finetune.py --backbone burn_demo/backbone.keras --output classifier

`photos` has a folder of pictures per class; the default data are scikit-learn's scanned digits.
Nothing is downloaded, and nothing but the installed packages is needed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import burn_tf  # selects Keras 2, so it comes before TensorFlow

# isort: split
import numpy as np
import tensorflow as tf

from burn_tf import backbones, convert, data, export, training, zoo
from burn_tf._checks import UserError
from burn_tf.cli.main import user_line

COMPARED = 64  # test images on which the saved files are compared with the model
RECALIBRATED = 100  # batches that batch norm is measured on
PREDICT = """
import sys
import burn_tf
import numpy as np
import tensorflow as tf

model = tf.keras.models.load_model(sys.argv[1])
np.save(sys.argv[3], model.predict(np.load(sys.argv[2]), verbose=0))
"""


def check(options: argparse.Namespace) -> None:
    """Refuse at once what would only be found out after the training."""
    for name in ("freeze", "epochs"):
        if getattr(options, name) < 0:
            raise UserError(f"--{name} must be 0 or more. Received: {getattr(options, name)}")
    if not (options.freeze or options.epochs):
        raise UserError("--freeze and --epochs must not both be 0. Received: no training at all")
    if options.policy is not None:
        data.get_policy(options.policy)
    if Path(options.output).is_file():
        raise UserError(f"--output must be a folder. Received: the file {options.output!r}")


def open_backbone(name: str, image_size: int | None) -> tf.keras.Model:
    """A model of the zoo, a saved Keras model or a packed file, up to its features [B, D]."""
    if name.endswith(".safetensors"):
        model = convert.load_packed(name)
    elif name.endswith((".keras", ".h5")):
        model = training.load_backbone(name)
    else:
        shape = None if image_size is None else (image_size, image_size, 3)
        model = zoo.load(name, pooling="avg", input_shape=shape)
    if len(model.output_shape) == 4:
        pooled = tf.keras.layers.GlobalAveragePooling2D()(model.output)
        model = tf.keras.Model(model.input, pooled, name=model.name)
    return model


def side_of(backbone: tf.keras.Model, asked: int | None) -> int:
    """Pixels of the images that the backbone takes."""
    fixed = backbone.input_shape[1]
    side = asked if fixed is None else int(fixed)
    if side is None or asked not in (None, side):
        raise UserError(
            f"--image_size must be {side or 'given'} for this backbone. Received: {asked}"
        )
    return side


def open_data(spec: str) -> tuple[data.Source, data.Source, int]:
    """Training images, test images, and the number of classes."""
    train, test = (data.load_source(spec, split=split) for split in ("train", "test"))
    classes = len(train.class_names or ())
    if classes < 2:
        raise UserError(f"--data must have a folder for each of its classes. Received: {spec!r}")
    return train, test, classes


def batches(
    source: data.Source, side: int, policy: str, epochs: int, options: argparse.Namespace
) -> tf.data.Dataset:
    """Shuffled (images, labels), augmented by a policy."""
    views = data.views_dataset(
        source,
        policy,
        num_views=1,
        batch_size=min(options.batch_size, source.num_images),
        image_size=side,
        seed=options.seed,
        epochs=epochs,
        labels=True,
    )
    return views.map(lambda images, labels: (images[0], labels))


def fit(model: tf.keras.Model, images: tf.data.Dataset, epochs: int, learning_rate: float) -> None:
    """`compile` and `fit`; compiled anew each time, because what is trainable may have changed."""
    model.compile(
        burn_tf.optimizers.FusedAdam(learning_rate),
        tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        ["accuracy"],
    )
    steps = int(images.cardinality()) // epochs
    model.fit(images, epochs=epochs, steps_per_epoch=steps, verbose=2)


def train(
    model: tf.keras.Model,
    backbone: tf.keras.Model,
    source: data.Source,
    options: argparse.Namespace,
) -> None:
    """The head alone, then everything; batch norm is measured anew where that helps."""
    side = model.input_shape[1]
    policy = options.policy or ("digits" if options.data == "digits" else "supervised")
    plain = batches(source, side, "none", 1, options)
    if options.freeze:
        # While it is frozen its batch norm cannot get used to these images by itself.
        backbones.recalibrate_batch_norm(backbone, plain, RECALIBRATED)
        backbone.trainable = False
        images = batches(source, side, policy, options.freeze, options)
        # The head begins at random and has far less to lose than the backbone.
        fit(model, images, options.freeze, 10 * options.learning_rate)
        backbone.trainable = True
    if options.epochs:
        images = batches(source, side, policy, options.epochs, options)
        fit(model, images, options.epochs, options.learning_rate)
        # Weights that flipped their signs have left the moving averages behind.
        backbones.recalibrate_batch_norm(model, plain, RECALIBRATED)


def finetune(options: argparse.Namespace) -> tuple[tf.keras.Model, np.ndarray]:
    """The trained classifier, its test accuracy printed, and some test images as it takes them."""
    check(options)
    tf.keras.utils.set_random_seed(options.seed)
    source, test, classes = open_data(options.data)
    backbone = open_backbone(options.backbone, options.image_size)
    side = side_of(backbone, options.image_size)
    head = tf.keras.layers.Dense(classes, name="head")
    model = tf.keras.Sequential([tf.keras.Input((side, side, 3)), backbone, head])
    train(model, backbone, source, options)
    held_out = data.eval_dataset(test, image_size=side, batch_size=COMPARED)
    _, accuracy = model.evaluate(held_out, verbose=0)
    print(f"accuracy {accuracy:.3f} on {test.num_images} test images of {classes} classes")
    return model, next(held_out.as_numpy_iterator())[0]


def predictions_of_a_fresh_process(path: Path, images: np.ndarray) -> np.ndarray:
    """What a new interpreter, which knows nothing but the file, predicts."""
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder) / "images.npy", Path(folder) / "predictions.npy"
        np.save(given, images)
        words = [sys.executable, "-c", PREDICT, str(path), str(given), str(made)]
        subprocess.run(words, check=True)
        return np.load(made)


def save(model: tf.keras.Model, images: np.ndarray, folder: Path) -> bool:
    """Write both files; False if either of them does not answer as the model does."""
    folder.mkdir(parents=True, exist_ok=True)
    saved, exported = folder / "model.keras", folder / "model.tflite"
    model.save(saved)
    answers = model.predict(images, verbose=0)
    again = predictions_of_a_fresh_process(saved, images)
    difference = float(np.abs(again - answers).max())
    print(f"written {saved}: in a fresh process the outputs differ by {difference:.2g}")
    lce = export.to_lce(model)
    lce.save(exported)
    parity = export.verify(lce.flatbuffer, model, images)
    print(
        f"written {exported}: {lce.report.size_bytes:,} bytes, {lce.report.num_binary} binary "
        f"layers, LCE agrees on {100 * parity.top1_agreement:.1f} % of {parity.num_images} images"
    )
    return difference < 1e-3 and parity.top1_agreement > 0.9


class Parser(argparse.ArgumentParser):
    """Says in one line what is wrong."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"finetune.py: error: {message} (--help lists the flags)\n")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = Parser("finetune.py", description=(__doc__ or "").split("\n")[0])

    def add(name: str, default: Any, text: str) -> None:
        shown = "" if default is None else " (default: %(default)s)"
        kind = str if default is None else type(default)
        made.add_argument(name, default=default, type=kind, help=text + shown)

    add("--data", "digits", "digits, or a folder with a folder of pictures per class")
    add("--backbone", "burn_reactnet_a", "a model of the zoo, or a .keras or .safetensors file")
    add("--output", "finetuned", "folder for model.keras and model.tflite")
    add("--freeze", 1, "epochs in which the head alone learns, before the others")
    add("--epochs", 5, "epochs in which everything learns")
    add("--batch_size", 64, "images per update")
    add("--learning_rate", 1e-3, "of Adam; ten times as much while the head learns alone")
    add("--policy", None, "augmentation; default: digits for digits, supervised for all else")
    add("--seed", 0, "of the head, the order and the views")
    made.add_argument("--image_size", type=int, help="pixels; default: those of pretraining")
    return made


def main(words: Sequence[str] | None = None) -> int:
    """Returns the exit code: 2 for what the user can repair, 1 if a file answers differently."""
    options = parser().parse_args(words)
    try:
        model, images = finetune(options)
        return 0 if save(model, images, Path(options.output)) else 1
    except Exception as error:
        line = user_line(error)
        if line is None:
            raise
        print(f"finetune.py: error: {line}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
