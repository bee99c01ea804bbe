// Small helpers of the controls: elements, the keyboard, sliders, numbers and tokens as words. What a reader types
// becomes text nodes, never HTML.

function make(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in node) node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

// Roving tabindex: many items are one stop of the Tab key, and the arrow keys move among them, `columns` in a row.
function rovingTabindex(box, items, columns = 1) {
  box.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns, Home: -1e9, End: 1e9 };
    const all = items();
    const index = all.indexOf(event.target);
    if (index < 0 || !(event.key in steps) || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    all[Math.min(all.length - 1, Math.max(0, index + steps[event.key]))].focus();
  });
  box.addEventListener("focusin", (event) => setTabStop(items(), event.target));
}

const setTabStop = (items, current) => items.forEach((item) => (item.tabIndex = item === current ? 0 : -1));
const percent = (p) => (p > 0 && p < 0.0005 ? "<0.1%" : `${(100 * p).toFixed(1)}%`);
const visible = (piece) => piece.replaceAll(" ", "␣").replaceAll("\n", "↵").replaceAll("\t", "⇥") || "·";
const withCommas = (n) => Math.round(n).toLocaleString("en");
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const REDUCED_MOTION = globalThis.matchMedia?.("(prefers-reduced-motion: reduce)");

// A native slider over `values`; `words` says what is shown and announced for a value.
function slider(name, values, value, words, changed) {
  const all = values.includes(value) ? values : [...values, value].sort((a, b) => (a ?? 1e9) - (b ?? 1e9));
  const input = make("input", { type: "range", min: 0, max: all.length - 1, step: 1, autocomplete: "off" });
  const output = make("output", { "aria-live": "off" }); // the slider itself announces its value
  const show = () => {
    output.textContent = words(all[input.value]);
    input.setAttribute("aria-valuetext", words(all[input.value]));
  };
  input.value = all.indexOf(value);
  input.addEventListener("input", () => {
    show();
    changed(all[input.value]);
  });
  show();
  return make("div", { className: "tl-setting" }, make("label", {}, make("span", {}, name), input), output);
}
