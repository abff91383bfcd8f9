"""What runs show: charts, pictures, one HTML page, tables and progress on the terminal."""

from __future__ import annotations

from burn_tf.report.charts import Chart, Series, bar_chart, line_chart, scatter_chart
from burn_tf.report.embedding import embedding_scatter, principal_components
from burn_tf.report.error_bars import Measured, error_bar_chart
from burn_tf.report.page import write_report
from burn_tf.report.pictures import Box, boxes_of, draw_boxes
from burn_tf.report.run_report import detection_record, write_run_report
from burn_tf.report.runs import read_runs
from burn_tf.report.terminal import ProgressLine, format_table
from burn_tf.report.training_curves import read_metrics, training_curves

__all__ = [
    "Box",
    "Chart",
    "Measured",
    "ProgressLine",
    "Series",
    "bar_chart",
    "boxes_of",
    "detection_record",
    "draw_boxes",
    "embedding_scatter",
    "error_bar_chart",
    "format_table",
    "line_chart",
    "principal_components",
    "read_metrics",
    "read_runs",
    "scatter_chart",
    "training_curves",
    "write_report",
    "write_run_report",
]
