/**
 * What a .tflite file says of itself: its name, its custom operators, its class labels.
 *
 * The file is a FlatBuffer (https://github.com/tensorflow/tensorflow, schema.fbs), and a ZIP archive
 * with the file labels.txt is appended to it: the way TFLite metadata keeps associated files.
 */

const NO_TFLITE = "it is not a .tflite file, or it is damaged";
const OPERATORS = 1, BUFFERS = 4, METADATA = 6; // fields of the schema's Model
const ZIP_END = 0x06054b50, ZIP_ENTRY = 0x02014b50, ZIP_FILE = 0x04034b50;

/**
 * Reads what the page needs to know before it runs a file.
 *
 * @param {Uint8Array} bytes the whole file.
 * @returns {{name: string, customOperators: string[], labels: string[] | null}} name is "" and
 *   labels null where the file has none.
 */
export function readModelFile(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  try {
    if (text(bytes, 4, 4) !== "TFL3") throw new RangeError(NO_TFLITE);
    const model = target(view, 0);
    const customOperators = tables(view, model, OPERATORS)
      .map((operator) => string(view, bytes, operator, 1))
      .filter(Boolean);
    return { name: metadataName(view, bytes, model), customOperators, labels: labels(view, bytes) };
  } catch (error) {
    throw error instanceof RangeError ? new Error(NO_TFLITE) : error;
  }
}

/** Name in the metadata (metadata_schema.fbs, ModelMetadata), a FlatBuffer within a buffer. */
function metadataName(view, bytes, model) {
  const entries = tables(view, model, METADATA);
  const entry = entries.find((table) => string(view, bytes, table, 0) === "TFLITE_METADATA");
  const number = entry && field(view, entry, 1);
  if (!number) return "";
  const buffer = tables(view, model, BUFFERS)[view.getUint32(number, true)];
  const data = target(view, field(view, buffer, 0)) + 4;
  return string(view, bytes, target(view, data), 0);
}

function text(bytes, start, length) {
  if (start + length > bytes.length) throw new RangeError(NO_TFLITE);
  return new TextDecoder().decode(bytes.subarray(start, start + length));
}

/** Where an offset leads to. */
function target(view, position) {
  return position + view.getUint32(position, true);
}

/** Position of a table's field, or 0 where it has its default. */
function field(view, table, index) {
  const layout = table - view.getInt32(table, true);
  const entry = 4 + 2 * index;
  const offset = entry < view.getUint16(layout, true) ? view.getUint16(layout + entry, true) : 0;
  return offset && table + offset;
}

function string(view, bytes, table, index) {
  const position = field(view, table, index);
  if (!position) return "";
  const start = target(view, position);
  return text(bytes, start + 4, view.getUint32(start, true));
}

function tables(view, table, index) {
  const position = field(view, table, index);
  if (!position) return [];
  const start = target(view, position);
  const length = view.getUint32(start, true);
  if (length * 4 > view.byteLength) throw new RangeError(NO_TFLITE);
  return Array.from({ length }, (_, item) => target(view, start + 4 + 4 * item));
}

/** Lines of labels.txt in the appended archive. */
function labels(view, bytes) {
  const end = archiveEnd(view);
  if (end < 0) return null;
  const size = view.getUint32(end + 12, true);
  // Offsets in the archive may count from its own start or from that of the whole file.
  const shift = end - size - view.getUint32(end + 16, true);
  for (let at = end - size; at < end && view.getUint32(at, true) === ZIP_ENTRY; ) {
    const nameLength = view.getUint16(at + 28, true);
    if (text(bytes, at + 46, nameLength) === "labels.txt") return lines(view, bytes, at, shift);
    at += 46 + nameLength + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
  }
  return null;
}

function archiveEnd(view) {
  const earliest = Math.max(0, view.byteLength - 22 - 0xffff);
  for (let at = view.byteLength - 22; at >= earliest; at -= 1) {
    if (view.getUint32(at, true) === ZIP_END) return at;
  }
  return -1;
}

function lines(view, bytes, entry, shift) {
  if (view.getUint16(entry + 10, true) !== 0) {
    throw new Error("its labels.txt is compressed; the page reads stored ones");
  }
  const start = view.getUint32(entry + 42, true) + shift;
  if (view.getUint32(start, true) !== ZIP_FILE) throw new RangeError(NO_TFLITE);
  const head = 30 + view.getUint16(start + 26, true) + view.getUint16(start + 28, true);
  const content = text(bytes, start + head, view.getUint32(entry + 20, true));
  return content.replace(/\r?\n$/, "").split(/\r?\n/);
}
