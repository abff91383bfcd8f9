"""The page in headless Chromium at a phone's width: it renders and nothing sticks out."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from burn_tf.report import bar_chart, embedding_scatter, training_curves, write_report

_CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--hide-scrollbars", "--disable-background-networking", "--disable-component-update",
    "--disable-sync",
)  # fmt: skip
_PHONE = 390

pytestmark = pytest.mark.skipif(_CHROMIUM is None, reason="no `chromium` on this machine")


def _chromium(folder: Path, *arguments: str) -> str:
    profile = folder / "profile"
    shutil.rmtree(profile, ignore_errors=True)
    command = [str(_CHROMIUM), *_FLAGS, f"--user-data-dir={profile}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout


def _metrics(path: Path) -> Path:
    lines = [
        {"stage": stage, "step": step, "kl": 3.0 * math.exp(-step / 60), "feature": 0.4,
         "loss": 1.0, "feature_weight": 0.9 - step / 1000, "grad_norm_classifier": 1.0 + step % 7,
         "grad_norm_extractor": 0.1, "feature_std": 0.5, "flipped_signs": 0.001}
        for stage in ("stage1", "stage2")
        for step in range(200)
    ]  # fmt: skip
    path.write_text("\n".join(json.dumps(line) for line in lines), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("browser")
    rng = np.random.default_rng(0)
    names = ["raw pixels", "untrained binary backbone with a long name", "BURN"]
    write_report(
        folder / "report.html",
        title="BURN_demo_with_one_very_long_word_" * 3,
        summary={"images": 1797, "command": "burn-tf demo --workdir " + "x" * 150},
        table=[
            {"model": n, "linear top-1 %": 95.1, "5-NN top-1 %": 96.2, "kB": 1.5} for n in names
        ],
        curves=training_curves(_metrics(folder / "metrics.jsonl")),
        scatters=[
            bar_chart("Accuracy", names, {"linear": [94.0, 81.0, 96.0]}, unit=" %"),
            embedding_scatter(rng.random((900, 16)), rng.integers(0, 10, 900)),
        ],
        notes=["A note."],
        gallery=[("view", rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))],
    )
    return folder / "report.html"


def test_it_renders_at_phone_width(page: Path):
    shot = page.parent / "phone.png"
    _chromium(page.parent, f"--window-size={_PHONE},1400", f"--screenshot={shot}", page.as_uri())
    pixels = np.asarray(Image.open(shot).convert("RGB")).astype(int)
    assert pixels.shape[1] == _PHONE
    # Both bars' blue and the title's ink are on the first screens; an empty page has neither.
    for colour in ((0x35, 0x66, 0xD6), (0x1D, 0x24, 0x30)):
        assert (np.abs(pixels - colour).max(axis=2) < 8).sum() > 400
    # The page's margin stays empty on both sides: nothing sticks out.
    for column in (2, _PHONE - 3):
        assert (np.abs(pixels[:, column] - (0xF4, 0xF6, 0xF9)).max(axis=1) <= 2).all()


def test_boxes_stay_inside_their_charts(page: Path):
    """A script that only this test adds measures every text as the browser laid it out."""
    probe = page.parent / "probe.html"
    script = """<script>addEventListener("load", () => {
      const bad = [], wide = document.documentElement.scrollWidth;
      let texts = 0;
      for (const svg of document.querySelectorAll("svg")) {
        const box = svg.getBoundingClientRect();
        const seen = [];
        for (const text of svg.querySelectorAll("text")) {
          const t = text.getBoundingClientRect(); texts += 1;
          if (t.left < box.left - 1 || t.right > box.right + 1 || t.top < box.top - 1 ||
              t.bottom > box.bottom + 1) bad.push("clipped: " + text.textContent);
          for (const [o, name] of seen)
            if (t.left < o.right - 1 && o.left < t.right - 1 && t.top < o.bottom - 3 &&
                o.top < t.bottom - 3) bad.push("overlap: " + text.textContent + " / " + name);
          seen.push([t, text.textContent]);
        }
      }
      parent.postMessage(JSON.stringify({bad, wide, texts, inner: innerWidth}), "*");
    })</script>"""
    text = page.read_text(encoding="utf-8")
    policy = re.search(r'<meta http-equiv="Content-Security-Policy"[^>]*>', text)
    assert policy is not None
    probe.write_text(text.replace(policy.group(), script), encoding="utf-8")
    # Without a screenshot Chromium's window is never narrower than 500 px; a frame is.
    outer = page.parent / "outer.html"
    listen = 'addEventListener("message", event => { document.title = event.data; })'
    frame = f'<iframe src="probe.html" style="width:{_PHONE}px;height:900px;border:0"></iframe>'
    outer.write_text(f"<script>{listen}</script>{frame}", encoding="utf-8")
    dom = _chromium(page.parent, "--virtual-time-budget=5000", "--dump-dom", outer.as_uri())
    found = re.search(r"<title>(\{.*?\})</title>", dom)
    assert found is not None
    measured = json.loads(found.group(1).replace("&amp;", "&").replace("&quot;", '"'))
    assert measured["bad"] == []
    assert measured["texts"] > 80
    assert measured["wide"] <= measured["inner"] == _PHONE


def test_it_is_dark_where_the_reader_wants_dark(page: Path):
    shot = page.parent / "dark.png"
    _chromium(page.parent, "--force-dark-mode", f"--window-size={_PHONE},700",
              f"--screenshot={shot}", page.as_uri())  # fmt: skip
    pixels = np.asarray(Image.open(shot).convert("L"))
    assert np.median(pixels) < 60 and pixels.max() > 200
