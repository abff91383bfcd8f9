"""ReActNet-A on ImageNet in two stages, taught by a float classifier.

Source: Liu et al., ReActNet, ECCV 2020, secs. 4.3 and 5, and the authors' scripts: Adam 5e-4, batch
    256, 256 epochs a stage, a ResNet-34 as teacher.
Departs from source: the rate falls along a cosine, not linearly; no decay in stage 1 (1e-5 there)
    and no shift of colours along their principal components; convolutions pad with +1.
Command: burn-tf pretrain --recipe supervised_imagenet --data tfds:imagenet2012 --workdir DIR
    --set teacher.weights=FILE.keras (or --set method.targets=labels)
Expected: reported by the authors: 69.4 % top-1 of the classifier trained along, ReActNet-A; by
    those of BURN: 64.10 % linear top-1 of its features. Not run by us.
"""

from burn_tf.recipes.base import Optimizer, Teacher, Views
from burn_tf.recipes.imagenet import imagenet_recipe
from burn_tf.recipes.options import SupervisedOptions

RECIPE = imagenet_recipe(
    "supervised_imagenet",
    SupervisedOptions(targets="teacher"),
    Views(policy="supervised", num_views=1, image_size=224),
    Optimizer("adam", learning_rate=5e-4),
    batch_size=256,
    epochs=256,
    teacher=Teacher(),
    binary=True,
)
