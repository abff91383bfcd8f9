"""Fine-tune a pretrained binary backbone with labels, then write it as a file for phones.

    python examples/finetune_digits.py burn_demo/backbone.keras classifier.tflite

The backbone is the one that `burn-tf demo` leaves; the data are scikit-learn's digits.
"""

from __future__ import annotations

import sys

import burn_tf  # selects Keras 2, so it comes before TensorFlow

# isort: split
import numpy as np
import tensorflow as tf


def prepared(split: str, image_size: int) -> tuple[np.ndarray, np.ndarray]:
    """Digits as the backbone takes them, and their labels."""
    source = burn_tf.data.load_source("digits", split=split)
    batches = burn_tf.data.eval_dataset(source, image_size=image_size, batch_size=256)
    images, labels = zip(*batches.as_numpy_iterator(), strict=True)
    return np.concatenate(images), np.concatenate(labels)


def main(backbone_path: str, output_path: str, epochs: int = 5) -> float:
    """Returns the test accuracy, 0 to 1."""
    backbone = tf.keras.models.load_model(backbone_path, compile=False)
    size = backbone.input_shape[1]
    images, labels = prepared("train", size)
    model = tf.keras.Sequential([backbone, tf.keras.layers.Dense(10)])
    model.compile(
        burn_tf.optimizers.FusedAdam(1e-3),
        tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        ["accuracy"],
    )
    model.fit(images, labels, batch_size=64, epochs=epochs, verbose=2)
    test_images, test_labels = prepared("test", size)
    _, accuracy = model.evaluate(test_images, test_labels, verbose=0)
    export = burn_tf.export.to_lce(model)
    export.save(output_path)
    parity = burn_tf.export.verify_lce(export.flatbuffer, model, test_images[:64])
    agreement = 100 * parity.top1_agreement
    print(f"accuracy {accuracy:.3f}, LCE agrees on {agreement:.1f} % of 64 images")
    return float(accuracy)


if __name__ == "__main__":
    main(*sys.argv[1:3])
