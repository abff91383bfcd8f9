"""A tiny model with random weights and its record in a manifest."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import tensorflow as tf

from burn_tf.recipes.base import Network
from zoo.manifest import Entry, ModelInput, Paper, WeightFile


def shaken(model: tf.keras.Model, seed: int = 0) -> tf.keras.Model:
    """Every weight random, as after training: fresh shifts and statistics hide mistakes."""
    random = np.random.default_rng(seed)
    for variable in model.weights:
        value = random.normal(scale=0.5, size=variable.shape)
        variable.assign(np.abs(value) + 0.5 if "variance" in variable.name else value)
    return model


def tiny_entry(network: Network, content: bytes, **changes: Any) -> Entry:
    """The manifest's record of the model "tiny"."""
    digest = hashlib.sha256(content).hexdigest()
    fields = {
        "name": "tiny",
        "summary": "A tiny network with random weights.",
        "network": network,
        "files": (WeightFile("tiny.safetensors", len(content), digest),),
        "input": ModelInput(24, (0.5, 0.4, 0.3), (0.2, 0.25, 0.5)),
        "feature_dim": 128,
        "method": "BURN",
        "recipe": "burn_digits",
        "data": "none",
        "teacher": "none",
        "licence": "Apache-2.0",
        "origin": "made by a test",
        "paper": Paper("A title", "https://arxiv.org/abs/2110.08851"),
    }
    return Entry(**{**fields, **changes})
