/** The page: takes files from the choosers and from drops, shows answers and what went wrong. */

import { Classifier, probabilities } from "./classifier.js";
import { preparePicture, showPixels } from "./picture.js";

const SHOWN = 5;
const element = (id) => document.getElementById(id);

let classifier = null;
let missing = ""; // why there is no classifier yet
let picture = null; // the last one, asked again when the model changes
let queue = Promise.resolve();

/** Tasks one after the other; what they throw becomes the status line. */
function enqueue(task) {
  queue = queue.then(task).catch((error) => {
    const message = `${error.message ?? error}`;
    if (!classifier) missing = message;
    say(message, "error");
    element("answer").hidden = true;
  });
}

function say(message, kind = "") {
  element("status").textContent = message;
  element("status").className = kind;
}

/** Lets the browser paint the status line before work that holds it up. */
function painted() {
  return new Promise((resolve) => setTimeout(resolve, 30));
}

async function fetchModel(path) {
  say("Loading the model…");
  const response = await fetch(path);
  if (response.status === 404) {
    const command = `burn-tf export --model M --target litert --output examples/web/${path}`;
    throw new Error(`There is no ${path} beside this page. Write one with \`${command}\`, or open a file below.`);
  }
  if (!response.ok) throw new Error(`The server refused ${path}: ${response.status}.`);
  await openModel(new Uint8Array(await response.arrayBuffer()), path);
}

async function openModel(bytes, fileName) {
  say(`Opening ${fileName}…`);
  await painted();
  let opened;
  try {
    opened = await Classifier.open(bytes);
  } catch (error) {
    throw new Error(`${fileName} cannot be used: ${error.message ?? error}.`);
  }
  classifier?.close();
  classifier = opened;
  describe(bytes.length, fileName);
  say("Ready.");
  if (picture) await classify(picture);
}

function describe(size, fileName) {
  const { name, height, width, classes, labels } = classifier;
  element("model-name").textContent = name || fileName;
  const named = labels ? "" : " without names";
  const bytes = size < 1e6 ? `${Math.ceil(size / 1e3)} kB` : `${(size / 1e6).toFixed(1)} MB`;
  element("model-facts").textContent =
    `${bytes}, ${height} × ${width} px, ${classes} classes${named}, LiteRT.js on the CPU`;
}

async function classify(file) {
  if (!classifier) throw new Error(missing);
  say("Looking…");
  await painted();
  const pixels = await preparePicture(file, classifier.height, classifier.width);
  picture = file;
  showPixels(element("seen"), pixels, classifier.height, classifier.width);
  const { scores, milliseconds } = await classifier.run(pixels);
  const best = ranked(scores);
  showAnswer(best, milliseconds);
  element("seen").setAttribute("aria-label", `${file.name || "The picture"}, as the network sees it`);
  element("seen").hidden = false;
  element("invitation").hidden = true;
  say(`${best[0].label}, ${best[0].percent}`, "answer");
  // For pages that embed this one, and for its tests.
  document.dispatchEvent(new CustomEvent("classified", { detail: { pixels, scores, milliseconds } }));
}

/** The likeliest classes with their shares. */
function ranked(scores) {
  const shares = probabilities(scores);
  const order = Array.from(shares.keys()).sort((a, b) => shares[b] - shares[a]);
  return order.slice(0, SHOWN).map((index) => ({
    label: classifier.labels?.[index] || `class ${index}`,
    share: shares[index],
    percent: `${(100 * shares[index]).toFixed(1)} %`,
  }));
}

function showAnswer(best, milliseconds) {
  element("classes").replaceChildren(...best.map(line));
  element("timing").textContent = `${milliseconds.toFixed(milliseconds < 10 ? 1 : 0)} ms for the network`;
  element("answer").hidden = false;
}

function line({ label, share, percent }) {
  const item = document.createElement("li");
  const name = document.createElement("span");
  const value = document.createElement("span");
  const bar = document.createElement("div");
  name.textContent = label;
  value.textContent = percent;
  bar.style.width = `${100 * share}%`;
  bar.className = "bar";
  item.append(name, value, bar);
  return item;
}

function take(file) {
  if (!file) return;
  if (file.name.toLowerCase().endsWith(".tflite")) {
    enqueue(async () => openModel(new Uint8Array(await file.arrayBuffer()), file.name));
  } else {
    enqueue(() => classify(file));
  }
}

function listen() {
  for (const id of ["picture", "camera", "model"]) {
    element(id).addEventListener("change", ({ target }) => {
      take(target.files[0]);
      target.value = ""; // so that the same file can be chosen again
    });
  }
  const drop = element("drop");
  for (const name of ["dragenter", "dragover", "dragleave", "drop"]) {
    document.addEventListener(name, (event) => {
      event.preventDefault(); // a file dropped beside the box must not replace the page
      drop.classList.toggle("over", name === "dragenter" || name === "dragover");
      if (name === "drop") take(event.dataTransfer.files[0]);
    });
  }
  document.addEventListener("paste", ({ clipboardData }) => take(clipboardData.files[0]));
}

listen();
enqueue(() => fetchModel(new URLSearchParams(location.search).get("model") ?? "model.tflite"));
