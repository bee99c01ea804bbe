// The two doors to the controls: a notebook calls `render`, and a page runs the last lines of this file.

function render({ model, el }) {
  const weights = model.get("weights");
  const load = () => new GPT(new Uint8Array(weights.buffer, weights.byteOffset, weights.byteLength), simd);
  const engine = weights.byteLength ? new InBrowser(load) : new InPython(model);
  const root = make("div", { className: "textgen-live", "data-lm-suppress-shortcuts": "true" }); // JupyterLab's keys
  el.append(root);
  new Player(root, structuredClone(model.get("data")), engine, (text) => {
    model.set("text", text);
    model.save_changes();
  });
}

export default { render };

if (SCRIPT_URL !== undefined) {
  for (const root of document.querySelectorAll(".textgen-live")) {
    const data = JSON.parse(root.querySelector("script").textContent);
    new Player(root, data, new InBrowser(() => loadModel(data.model ?? "model")));
  }
}
