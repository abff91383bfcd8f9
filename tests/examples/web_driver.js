/** Acts as a visitor: opens the page once per visit, hands it a file, sends back what it showed. */

const frame = document.getElementById("page");
const PATIENCE = 20000; // ms for one thing to happen

function until(condition) {
  const latest = performance.now() + PATIENCE;
  return new Promise((resolve, reject) => {
    const look = () => {
      if (condition()) resolve();
      else if (performance.now() > latest) reject(new Error(`never came true: ${condition}`));
      else setTimeout(look, 20);
    };
    look();
  });
}

async function open(model, width) {
  frame.style.width = `${width}px`;
  await new Promise((resolve) => {
    frame.onload = resolve;
    frame.src = `/index.html?model=${encodeURIComponent(model)}`;
  });
  return frame.contentDocument;
}

/** What a chooser or a drop would give the page. */
async function transfer(path) {
  const content = await (await fetch(path)).blob();
  const files = new frame.contentWindow.DataTransfer();
  files.items.add(new frame.contentWindow.File([content], path.split("/").pop()));
  return files;
}

async function hand(document, { picture, how }) {
  const files = await transfer(picture);
  if (how === "drop") {
    const event = new frame.contentWindow.DragEvent("drop", { dataTransfer: files, bubbles: true });
    document.getElementById("drop").dispatchEvent(event);
  } else {
    document.getElementById(how).files = files.files;
    document.getElementById(how).dispatchEvent(new Event("change"));
  }
}

function shown(document) {
  const root = document.documentElement;
  return {
    status: document.getElementById("status").textContent,
    kind: document.getElementById("status").className,
    classes: [...document.querySelectorAll("#classes li")].map((item) =>
      [...item.querySelectorAll("span")].map((part) => part.textContent)),
    model: document.getElementById("model-name").textContent,
    facts: document.getElementById("model-facts").textContent,
    timing: document.getElementById("timing").textContent,
    overflow: root.scrollWidth - root.clientWidth,
    unlabelled: [...document.querySelectorAll("input")].filter((input) => !input.labels.length).length,
    unreachable: [...document.querySelectorAll("input")].filter((input) => input.tabIndex < 0).length,
  };
}

async function visit({ model, width = 390, picture, how = "picture" }) {
  const document = await open(model, width);
  const status = document.getElementById("status");
  const settled = () => status.textContent === "Ready." || status.className;
  await until(settled);
  let answer = {};
  if (picture) {
    document.addEventListener("classified", ({ detail }) => (answer = detail));
    status.textContent = "";
    status.className = "";
    await hand(document, { picture, how });
    await until(settled);
  }
  const numbers = { pixels: [...(answer.pixels ?? [])], scores: [...(answer.scores ?? [])] };
  return { ...shown(document), ...numbers };
}

const results = {};
for (const [name, steps] of Object.entries(await (await fetch("/files/visits.json")).json())) {
  try {
    results[name] = await visit(steps);
  } catch (error) {
    results[name] = { status: `driver: ${error.stack ?? error}`, kind: "driver" };
  }
}
await fetch("/results", { method: "POST", body: JSON.stringify(results) });
