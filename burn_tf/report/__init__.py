"""What a run shows: charts, one HTML page, tables and progress on the terminal."""

from __future__ import annotations

from burn_tf.report.charts import Chart, Series, bar_chart, line_chart, scatter_chart
from burn_tf.report.embedding import embedding_scatter, principal_components
from burn_tf.report.page import write_report
from burn_tf.report.terminal import ProgressLine, format_table
from burn_tf.report.training_curves import read_metrics, training_curves

__all__ = [
    "Chart",
    "ProgressLine",
    "Series",
    "bar_chart",
    "embedding_scatter",
    "format_table",
    "line_chart",
    "principal_components",
    "read_metrics",
    "scatter_chart",
    "training_curves",
    "write_report",
]
