// The two doors to the chat: a notebook calls `render`, and a page runs the last lines of this file.

function render({ model, el }) {
  const load = ({ name }) => {
    const { buffer, byteOffset, byteLength } = model.get("weights")[name];
    return new GPT(new Uint8Array(buffer, byteOffset, byteLength), simd);
  };
  const root = make("div", { className: "textgen-chat", "data-lm-suppress-shortcuts": "true" }); // JupyterLab's keys
  el.append(root);
  new Chat(root, model.get("data"), model.get("talk"), load, (talk) => {
    model.set("talk", structuredClone(talk)); // a copy, or nothing would seem to have changed
    model.save_changes();
  });
}

export default { render };

if (SCRIPT_URL !== undefined) {
  for (const root of document.querySelectorAll(".textgen-chat")) {
    const data = JSON.parse(root.querySelector("script").textContent);
    new Chat(root, data, data.talk, ({ file }) => loadModel(file));
  }
}
