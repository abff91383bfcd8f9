"""BURN as its authors' published settings have it: two crossed views, logits compared.

Source: the published settings of Kim & Choi, CVPR 2022 (Adam 3e-4, cosine decay, 10 epochs of
    warm-up, batch 256 x 8 x 2 = 4096, Dense + ReLU on the backbone, zero padding, straight-through
    estimator, squared distance of unit vectors). Epochs are the paper's, 200 per stage.
Departs from source: the teacher's classifier learns, as in eq. 1 of the paper; the published file
    keeps it, and the loss, without gradients.
Command: burn-tf pretrain --recipe burn_authors --data tfds:imagenet2012 --workdir DIR
    --set teacher.weights=FILE.keras
Expected: 62.29 % linear top-1, reported by the authors. Not run by us.
"""

from burn_tf.recipes.base import Network, Optimizer, Recipe, Teacher, Views
from burn_tf.recipes.options import BURNOptions

RECIPE = Recipe(
    name="burn_authors",
    method=BURNOptions(
        feature_loss="normalized_l2", feature_projection="logits", view_pairing="crossed"
    ),
    backbone=Network("reactnet_a", pad_values=0.0, estimator="ste", embedding_units=1024),
    views=Views(policy="burn_authors", num_views=2, image_size=224),
    optimizer=Optimizer("adam", learning_rate=3e-4, warmup_epochs=10),
    batch_size=4096,
    epochs=200,
    stages=("activations", "both"),
    teacher=Teacher(),
    precision="mixed_bfloat16",
)
