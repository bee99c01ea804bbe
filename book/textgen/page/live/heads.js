// Every head of every layer, and what it looks at from the token that was chosen last.

class Heads {
  constructor({ n_layer = 0, n_head = 0 }, changed) {
    Object.assign(this, { n_layer, n_head, layer: 0, head: 0 });
    this.heading = make("p", { className: "tl-heading" }, "What a token looks at");
    this.sentence = make("p", { className: "tl-sentence" });
    this.cells = Array.from({ length: n_layer * n_head }, (_, i) => {
      const [layer, head] = [Math.floor(i / n_head), i % n_head];
      const cell = make("button", { type: "button", role: "radio", tabIndex: i ? -1 : 0, "aria-checked": String(!i) });
      cell.setAttribute("aria-label", `Layer ${layer + 1}, head ${head + 1}`);
      cell.title = `Layer ${layer + 1}, head ${head + 1}`;
      const picture = document.createElementNS("http://www.w3.org/2000/svg", "svg");
      cell.path = document.createElementNS("http://www.w3.org/2000/svg", "path");
      picture.setAttribute("preserveAspectRatio", "none");
      picture.setAttribute("aria-hidden", "true");
      picture.append(cell.path);
      cell.append(picture);
      return Object.assign(cell, { layer, head, picture });
    });
    this.grid = make("div", { className: "tl-grid", role: "radiogroup", "aria-label": "Head" }, ...this.cells);
    this.grid.style.setProperty("--heads", n_head);
    const note =
      "Row: layer. Box: head. Bars: the tokens so far, the highest is what it looks at most. " +
      "Choose a token in the text, a head here.";
    this.node = make("div", { className: "tl-heads", hidden: !n_head }, this.heading, this.grid, this.sentence);
    this.node.append(make("p", { className: "tl-quiet" }, note));
    rovingTabindex(this.grid, () => this.cells, n_head);
    this.grid.addEventListener("focusin", ({ target }) => {
      if (!this.cells.includes(target)) return;
      Object.assign(this, { layer: target.layer, head: target.head });
      this.cells.forEach((cell) => cell.setAttribute("aria-checked", String(cell === target)));
      changed();
    });
  }

  // Draw `attention` (n_layer, n_head, T) of the panel's token at `position`, and return it in words.
  show(panel, position, attention) {
    this.node.hidden = !attention;
    if (!attention) return "";
    const start = panel.run.windowStart(position + 1);
    const T = position - start + 1;
    const weights = ({ layer, head }) => attention.subarray((layer * this.n_head + head) * T).subarray(0, T);
    for (const cell of this.cells) {
      const highest = Math.max(...weights(cell));
      const bars = Array.from(weights(cell), (w, i) => `M${i} 1V${(1 - w / highest).toFixed(3)}h.9V1`);
      cell.picture.setAttribute("viewBox", `0 0 ${Math.max(T, 8)} 1`);
      cell.path.setAttribute("d", bars.join(""));
    }
    const own = weights(this); // those of the chosen head
    const highest = Math.max(...own);
    for (const option of panel.options()) {
      option.style.setProperty("--w", ((own[option.position - start] ?? 0) / highest).toFixed(3));
    }
    const top = [...own.keys()].sort((a, b) => own[b] - own[a]).slice(0, 3);
    const words = top.flatMap((i) => [", ", panel.quote(start + i), ` ${percent(own[i])}`]).slice(1);
    this.heading.replaceChildren("What ", panel.quote(position), " looks at");
    this.sentence.replaceChildren(`Layer ${this.layer + 1}, head ${this.head + 1}: `, ...words, ".");
    return this.sentence.textContent;
  }
}
