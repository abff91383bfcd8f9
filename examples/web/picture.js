/**
 * A picture as the network is to see it: upright, resized, its centre cut out, uint8 RGB.
 *
 * Browsers resample canvases each in their own way, so that the canvas only decodes here. The
 * resize is Pillow's, bit for bit (`Image.resize` with `BILINEAR`: a triangle filter as wide as the
 * reduction, two passes in fixed point), the crop that of `burn_tf.data.eval_dataset`.
 */

const PRECISION = 22; // bits behind the point in Pillow's 8-bit filters
const STRIP_PIXELS = 1 << 22; // decoded at a time: a phone's largest canvas has four times as many
const PHOTO_SIDE = 128; // from here on the outer eighth is cut off, as in training's evaluations

/**
 * Reads and prepares a picture.
 *
 * @param {Blob} file a PNG, JPEG, WebP or anything else the browser decodes.
 * @param {number} height rows of the network's input.
 * @param {number} width columns of the network's input.
 * @returns {Promise<Uint8Array>} height x width x 3 values, row by row, RGB.
 */
export async function preparePicture(file, height, width) {
  const bitmap = await decode(file);
  try {
    const crop = centreCrop(bitmap.height, bitmap.width, height, width);
    const rows = filters(bitmap.height, crop.rows, crop.top, height);
    const columns = filters(bitmap.width, crop.columns, crop.left, width);
    return downColumns(alongRows(bitmap, rows, columns), rows, width);
  } finally {
    bitmap.close();
  }
}

/** Paints prepared pixels on a canvas. */
export function showPixels(canvas, pixels, height, width) {
  canvas.width = width;
  canvas.height = height;
  const image = new ImageData(width, height);
  for (let pixel = 0; pixel < height * width; pixel += 1) {
    for (let channel = 0; channel < 3; channel += 1) {
      image.data[4 * pixel + channel] = pixels[3 * pixel + channel];
    }
    image.data[4 * pixel + 3] = 255;
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}

async function decode(file) {
  try {
    // As Pillow does: EXIF turns the picture, colour profiles are not applied.
    return await createImageBitmap(file, {
      imageOrientation: "from-image",
      colorSpaceConversion: "none",
    });
  } catch {
    throw new Error(`This browser cannot read ${file.name || "the file"} as a picture.`);
  }
}

/** The whole picture's size after the resize, and where the input is cut out of it. */
function centreCrop(pictureHeight, pictureWidth, height, width) {
  const fraction = Math.min(height, width) >= PHOTO_SIDE ? 0.875 : 1;
  const shortRows = Math.floor(height / fraction + 0.5);
  const shortColumns = Math.floor(width / fraction + 0.5);
  const byRows = pictureHeight * shortColumns <= pictureWidth * shortRows;
  const rows = byRows ? shortRows : Math.floor((shortColumns * pictureHeight) / pictureWidth);
  const columns = byRows ? Math.floor((shortRows * pictureWidth) / pictureHeight) : shortColumns;
  return { rows, columns, top: halfToEven(rows - height), left: halfToEven(columns - width) };
}

function halfToEven(number) {
  const half = Math.floor(number / 2);
  return number % 2 ? half + (half % 2) : half;
}

/**
 * Pillow's bilinear filter of one axis (Resample.c: precompute_coeffs, normalize_coeffs_8bpc).
 *
 * @returns {{start: number, weights: Int32Array}[]} for each wanted pixel, what it is summed from.
 */
function filters(size, resized, first, wanted) {
  const scale = size / resized;
  const support = Math.max(scale, 1);
  return Array.from({ length: wanted }, (_, index) => {
    const centre = (first + index + 0.5) * scale;
    const start = Math.max(0, Math.trunc(centre - support + 0.5));
    const end = Math.min(size, Math.trunc(centre + support + 0.5));
    const exact = new Float64Array(end - start);
    let total = 0;
    for (let tap = 0; tap < exact.length; tap += 1) {
      const distance = Math.abs((tap + start - centre + 0.5) * (1 / support));
      exact[tap] = Math.max(0, 1 - distance);
      total += exact[tap];
    }
    const weights = Int32Array.from(exact, (weight) => (weight / total) * 2 ** PRECISION + 0.5);
    return { start, weights };
  });
}

function last(axis) {
  return axis.at(-1).start + axis.at(-1).weights.length;
}

/** First pass: every picture row that is needed, at the width of the input. */
function alongRows(bitmap, rows, columns) {
  const [top, bottom] = [rows[0].start, last(rows)];
  const [left, right] = [columns[0].start, last(columns)];
  const stripRows = Math.max(1, Math.floor(STRIP_PIXELS / (right - left)));
  const result = new Uint8Array((bottom - top) * columns.length * 3);
  for (let row = top; row < bottom; row += stripRows) {
    const height = Math.min(stripRows, bottom - row);
    const strip = readPixels(bitmap, left, row, right - left, height);
    for (let y = 0; y < height; y += 1) {
      const from = y * (right - left) * 4;
      const to = (row - top + y) * columns.length * 3;
      columns.forEach(({ start, weights }, x) => {
        weigh(strip, from + (start - left) * 4, 4, weights, result, to + x * 3);
      });
    }
  }
  return result;
}

/** Second pass: down the columns of the first one's result. */
function downColumns(narrow, rows, width) {
  const result = new Uint8Array(rows.length * width * 3);
  rows.forEach(({ start, weights }, y) => {
    for (let x = 0; x < width; x += 1) {
      const from = ((start - rows[0].start) * width + x) * 3;
      weigh(narrow, from, width * 3, weights, result, (y * width + x) * 3);
    }
  });
  return result;
}

/** One RGB pixel: weighted sum of pixels `step` values apart, rounded to whole levels. */
function weigh(values, from, step, weights, result, to) {
  for (let channel = 0; channel < 3; channel += 1) {
    let sum = 1 << (PRECISION - 1);
    for (let tap = 0; tap < weights.length; tap += 1) {
      sum += values[from + channel + tap * step] * weights[tap];
    }
    result[to + channel] = Math.min(255, sum >> PRECISION);
  }
}

/** RGBA of a rectangle, without any resampling; what is transparent gets a white ground. */
function readPixels(bitmap, left, top, width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingEnabled = false;
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, left, top, width, height, 0, 0, width, height);
  return context.getImageData(0, 0, width, height).data;
}
