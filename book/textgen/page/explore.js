// The published life of textgen.explore(): gives each block its controls and switches between the pictures
// that the build drew. A classic script, so that it also runs from file://; no kernel, no network, no dependency.
document.querySelectorAll(".textgen-explore").forEach((block) => {
  const data = JSON.parse(block.querySelector("script[type='application/json']").textContent);
  const box = block.querySelector(".textgen-explore-controls");
  const picture = block.querySelector(".textgen-explore-picture");
  const said = block.querySelector(".textgen-explore-said");
  const image = data.image && picture.querySelector("img");

  // Figures: every setting is a patch of the pixels that differ from the first picture, painted over it.
  const first = new Image();
  const patch = new Image();
  if (image) first.src = image.src;
  patch.onload = async () => {
    const painted = patch.src;
    await first.decode();
    if (patch.src !== painted) return; // the reader has moved on
    const canvas = Object.assign(document.createElement("canvas"), { width: first.width, height: first.height });
    const brush = canvas.getContext("2d");
    brush.drawImage(first, 0, 0);
    brush.drawImage(patch, 0, 0);
    image.src = canvas.toDataURL();
  };

  const fields = data.controls.map((control) => {
    const field = document.createElement(control.menu ? "select" : "input");
    const output = document.createElement("output"); // the slider itself says its value, so this stays silent
    output.setAttribute("aria-live", "off");
    if (control.menu) {
      control.labels.forEach((text, i) => field.add(new Option(text, i)));
    } else {
      Object.assign(field, { type: "range", min: 0, max: control.labels.length - 1, step: 1 });
    }
    field.value = control.start;
    field.autocomplete = "off"; // a reload starts at the first picture again
    const label = document.createElement("label");
    const name = document.createElement("span");
    name.textContent = control.name;
    label.append(name, field);
    const row = document.createElement("div");
    row.append(label, ...(control.menu ? [] : [output]));
    box.append(row);
    field.addEventListener("input", () => show(true));
    return { field, output, control };
  });

  function show(speak) {
    let index = 0;
    for (const { field, output, control } of fields) {
      const at = Number(field.value);
      index = index * control.labels.length + at;
      output.textContent = control.labels[at];
      if (!control.menu) field.setAttribute("aria-valuetext", control.labels[at]);
    }
    const frame = data.frames[data.order[index]];
    if (image) {
      image.alt = data.alt[index];
      patch.src = frame || first.src; // over itself the first picture is the first picture
    } else if (speak) {
      picture.innerHTML = frame; // written by the notebook's author while the book was built
    }
    if (speak) said.textContent = data.alt[index];
  }
  show(false);
});
