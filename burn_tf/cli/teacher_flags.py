"""`--teacher_cache` and `--cached_views`, which belong together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from absl import flags as absl_flags

from burn_tf._checks import UserError

if TYPE_CHECKING:
    from burn_tf.training import TeacherCache


def register(flags: absl_flags.FlagValues) -> None:
    """The two flags."""
    absl_flags.DEFINE_string(
        "teacher_cache",
        None,
        "folder where the frozen teacher's features are kept: computed once, for this run and "
        "others; needs --cached_views",
        flag_values=flags,
    )
    absl_flags.DEFINE_integer(
        "cached_views",
        None,
        "fixed views of each image that a run with --teacher_cache shows in turns; the folder "
        "takes the teacher's D x 2 bytes x images x views",
        lower_bound=1,
        flag_values=flags,
    )


def read(flags: absl_flags.FlagValues) -> TeacherCache | None:
    """The cache that the flags name; None without them.

    Raises:
        UserError: one without the other.
    """
    folder, views = flags.teacher_cache, flags.cached_views
    if (folder is None) != (views is None):
        given, other = "--teacher_cache", "--cached_views"
        if folder is None:
            given, other = other, given
        raise UserError(f"{given} needs {other} beside it. Received: {given} alone")
    if folder is None:
        return None
    from burn_tf.training import TeacherCache

    return TeacherCache(folder, views)
