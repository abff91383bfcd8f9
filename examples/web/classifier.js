/** A .tflite file in LiteRT.js, the stock runtime, compiled to WebAssembly. */

import { readModelFile } from "./model_file.js";

let runtime = null;

/** The runtime, loaded once from this folder: no other server is asked. */
async function litert() {
  runtime ??= (async () => {
    const library = await import("@litertjs/core");
    const files = new URL("node_modules/@litertjs/core/wasm/", document.baseURI);
    await library.loadLiteRt(files.href);
    return library;
  })();
  try {
    return await runtime;
  } catch (error) {
    runtime = null;
    const cure = "run `npm ci` in examples/web and load the page again";
    throw new Error(`the LiteRT runtime did not load: ${cure} (${error?.message ?? error})`);
  }
}

/** A classifier: uint8 [1, H, W, 3] to [1, classes]. */
export class Classifier {
  /**
   * Reads, checks and compiles a file.
   *
   * @param {Uint8Array} bytes the file.
   * @throws {Error} with one sentence that names the cure.
   */
  static async open(bytes) {
    const file = readModelFile(bytes);
    checkOperators(file.customOperators);
    const library = await litert();
    const model = await library.loadAndCompile(bytes, { accelerator: "wasm" });
    try {
      const classifier = new Classifier(library, model, file);
      // The first run sets up XNNPACK's weights: not to be counted as the latency.
      await classifier.run(new Uint8Array(classifier.height * classifier.width * 3));
      return classifier;
    } catch (error) {
      model.delete();
      throw error;
    }
  }

  constructor(library, model, file) {
    this.library = library;
    this.model = model;
    this.name = file.name;
    this.labels = file.labels;
    [this.height, this.width] = checkInput(model.getInputDetails());
    this.classes = checkOutput(model.getOutputDetails(), file.labels);
  }

  /**
   * Scores one picture.
   *
   * @param {Uint8Array} pixels of `preparePicture`.
   * @returns {Promise<{scores: Float32Array, milliseconds: number}>} as the file gives them.
   */
  async run(pixels) {
    const started = performance.now();
    const shape = [1, this.height, this.width, 3];
    const input = new this.library.Tensor(pixels, shape);
    const outputs = await this.model.run(input);
    const scores = outputs[0].toTypedArray();
    const milliseconds = performance.now() - started;
    for (const tensor of [input, ...outputs]) tensor.delete();
    return { scores, milliseconds };
  }

  close() {
    this.model.delete();
  }
}

/**
 * Probabilities of scores: their softmax, or they themselves where they already are ones.
 *
 * @param {Float32Array} scores logits or probabilities.
 * @returns {Float64Array} of the same length, in 0..1.
 */
export function probabilities(scores) {
  const total = scores.reduce((sum, score) => sum + score, 0);
  if (Math.abs(total - 1) < 1e-3 && scores.every((score) => score >= 0)) {
    return Float64Array.from(scores);
  }
  const top = scores.reduce((most, score) => Math.max(most, score), -Infinity);
  const powers = Float64Array.from(scores, (score) => Math.exp(score - top));
  const sum = powers.reduce((all, power) => all + power, 0);
  return powers.map((power) => power / sum);
}

function checkOperators(custom) {
  const binary = custom.filter((name) => name.startsWith("Lce"));
  if (binary.length) {
    throw new Error(
      `it is a Larq Compute Engine file (${binary.join(", ")}), and browsers have no such ` +
        "operators: export it with `burn-tf export --target litert`",
    );
  }
  if (custom.length) {
    throw new Error(`it needs custom operators that the stock runtime lacks: ${custom.join(", ")}`);
  }
}

function checkInput(inputs) {
  const [input] = inputs;
  const shape = Array.from(input.shape);
  const picture = shape.length === 4 && shape[0] === 1 && shape[3] === 3;
  if (inputs.length !== 1 || !picture || input.dtype !== "uint8") {
    const wanted = "one uint8 [1, H, W, 3] (`--target litert` writes it)";
    throw new Error(`its input must be ${wanted}. Received: ${input.dtype} [${shape.join(", ")}]`);
  }
  return shape.slice(1, 3);
}

function checkOutput(outputs, labels) {
  const [output] = outputs;
  const shape = Array.from(output.shape);
  if (outputs.length !== 1 || output.dtype !== "float32" || shape.length !== 2) {
    const received = `${output.dtype} [${shape.join(", ")}], ${outputs.length} outputs`;
    throw new Error(`its output must be one float32 [1, classes]. Received: ${received}`);
  }
  if (labels && labels.length !== shape[1]) {
    throw new Error(`it has ${labels.length} labels for ${shape[1]} classes`);
  }
  return shape[1];
}
