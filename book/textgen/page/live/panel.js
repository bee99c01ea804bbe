// What a reader sees of a run: its settings, the text token by token, and the bars of what comes next.

const BARS = 10;

class Panel {
  constructor(player, settings) {
    const { engine, data } = player;
    this.run = new Run(engine, settings, data.block_size);
    this.legend = make("legend");
    this.text = make("div", { className: "tl-text", dir: "auto" });
    this.summary = make("p", { className: "tl-quiet" });
    const outgrown = `The text outgrew the model’s ${data.block_size} tokens: it sees the dark part.`;
    this.outgrown = make("p", { className: "tl-quiet", hidden: true }, outgrown);
    this.heading = make("p", { className: "tl-heading" }, "What comes next");
    this.note = make("p", { className: "tl-quiet" });
    this.bars = Array.from({ length: BARS }, makeBar);
    const box = make("div", { className: "tl-bars", role: "toolbar", "aria-orientation": "vertical" }, ...this.bars);
    box.setAttribute("aria-label", "The likeliest next tokens; choose one to go on with it");
    const inputs = settingInputs(settings, (name, value, words) => {
      this.run.settings[name] = value;
      player.settingChanged(this, words);
    });
    this.node = make(
      "div",
      { className: "tl-run" },
      make("fieldset", { className: "tl-settings" }, this.legend, ...inputs),
      make("div", { className: "tl-written" }, this.text, this.summary, this.outgrown),
      make("div", { className: "tl-next" }, this.heading, box, this.note),
    );
    rovingTabindex(this.text, this.options);
    rovingTabindex(box, () => this.bars.filter((bar) => !bar.hidden && !bar.disabled));
    this.text.addEventListener("focusin", ({ target }) => {
      if (target.position >= 0) player.runSafely(() => player.look(this, target.position, true));
    });
    box.addEventListener("click", ({ target }) => {
      const bar = target.closest("button");
      if (bar) player.runSafely(() => player.choose(this, bar.token));
    });
  }

  // The tokens of the text that are in the window.
  options = () => [...this.text.querySelectorAll("[role=option]")];

  // The name tells one of two panels from the other; a single one has none.
  setName(name) {
    this.legend.textContent = name || "Settings";
    this.text.setAttribute("aria-label", `${name ? `${name}: the` : "The"} text, token by token`);
  }

  // Show a text that was written before the model came to this page.
  showSaved(prompt, text) {
    this.text.replaceChildren(make("b", {}, prompt), text.slice(prompt.length));
  }

  async begin(prompt, signal) {
    await this.run.begin(prompt, signal);
    this.at = this.run.ids.length - 1; // the token that is looked at
    this.summary.textContent = "";
  }

  // Keep the text that stands, unless the prompt is another by now.
  async goOn(prompt, signal) {
    if (this.run.prompt !== prompt) await this.begin(prompt, signal);
  }

  // Write up to `n` tokens, show them as they come, and say how fast they came.
  async write(n, signal) {
    const { run } = this;
    const { tokens, first } = await run.write(n, signal, () => {
      this.showText();
      if (!REDUCED_MOTION.matches) this.showBars(run.ids.length - 2, run.logits);
    });
    const speed = `, ${withCommas(tokens / run.seconds)} a second, the first after ${Math.ceil(first)} ms`;
    const time = `${run.seconds.toFixed(3)} s${tokens > 1 ? speed : ""}`;
    this.summary.textContent = `${tokens} token${tokens === 1 ? "" : "s"} in ${time}.`;
    if (run.ended) this.summary.append(" The text ends here.");
  }

  // Show the text: tokens in the window one by one, to be chosen, and what stands before it as plain text. What is on
  // the page already stays, unless the window or the prompt has moved.
  showText() {
    const { ids, start, given, ended, engine } = this.run;
    const pieces = engine.pieces(ids);
    const hadFocus = this.text.contains(document.activeElement);
    const layout = `${start} ${given}`;
    const old = this.layout === layout ? this.options() : [];
    let same = 0;
    while (same < old.length && old[same].token === ids[start + same]) same++;
    if (same) {
      while (this.text.lastChild !== old[same - 1]) this.text.lastChild.remove();
    } else {
      const past = pieces.slice(1, start).join("");
      this.text.replaceChildren(...(past ? [make("span", { className: "tl-past" }, past)] : []));
      this.text.setAttribute("role", "listbox");
    }
    for (let position = start + same; position < ids.length; position++) {
      const piece = position ? pieces[position] : "start";
      const option = make("span", { role: "option", tabIndex: -1, "aria-selected": "false" }, piece || "·");
      if (!position) option.dir = "ltr"; // or this word would set the direction of the whole text
      option.className = position === 0 ? "tl-mark" : position < given ? "tl-given" : "";
      if (!piece.trim()) option.setAttribute("aria-label", piece ? visible(piece) : "no text of its own");
      this.text.append(Object.assign(option, { token: ids[position], position }));
    }
    if (ended) this.text.append(make("span", { className: "tl-mark", ariaHidden: "true" }, "end"));
    this.outgrown.hidden = !start;
    this.layout = layout;
    if (hadFocus && !this.text.contains(document.activeElement)) this.options().at(-1).focus();
  }

  // Mark the token that the reader looks at.
  select(position) {
    this.at = position;
    const options = this.options();
    options.forEach((option) => option.setAttribute("aria-selected", String(option.position === position)));
    setTabStop(options, options[position - this.run.start]);
  }

  // Show what the model expected after the token at `position`: by itself, and as the settings leave it.
  showBars(position, logits) {
    const { ids, given, ended, engine, settings } = this.run;
    const before = softmax(logits.slice());
    const after = filtered(logits, settings);
    const next = ids[position + 1] ?? (ended ? engine.end : null);
    const top = [...before.keys()].sort((a, b) => before[b] - before[a]).slice(0, BARS);
    if (next !== null && !top.includes(next)) top[top.length - 1] = next;
    const widest = Math.max(...top.map((id) => Math.max(before[id], after[id])));
    this.bars.forEach((bar, i) => {
      const id = top[i];
      bar.hidden = id === undefined;
      if (bar.hidden) return;
      const [token, pale, dark, shares] = bar.parts;
      token.textContent = id === engine.end ? "end" : visible(engine.vocabulary[id]);
      token.classList.toggle("tl-mark", id === engine.end);
      pale.style.width = `${(100 * before[id]) / widest}%`;
      dark.style.width = `${(100 * after[id]) / widest}%`;
      shares.textContent = `${percent(before[id])} → ${after[id] ? percent(after[id]) : "cut"}`;
      bar.classList.toggle("tl-cut", !after[id]);
      bar.setAttribute("aria-current", id === next);
      bar.title = id === next ? "This one came next" : "Go on with this one";
      Object.assign(bar, { token: id, disabled: position < given - 1 }); // a prompt stays as it is
    });
    if (!this.bars.some((bar) => bar.tabIndex === 0 && !bar.hidden)) setTabStop(this.bars, this.bars[0]);
    const left = `${withCommas(after.filter((p) => p > 0).length)} of ${withCommas(after.length)}`;
    this.heading.replaceChildren(
      position ? "What comes after " : "What comes first",
      position ? this.quote(position) : "",
    );
    this.note.textContent = `Pale: the model itself. Dark: with the settings, which leave ${left} tokens.`;
  }

  quote(position) {
    const { ids, engine } = this.run;
    return make("q", {}, position ? visible(engine.pieces(ids.slice(0, position + 1)).at(-1)) : "start");
  }
}

function makeBar() {
  const parts = ["tl-token", "tl-before", "tl-after", "tl-shares"].map((className) => make("span", { className }));
  const [token, before, after, shares] = parts;
  const track = make("span", { className: "tl-track" }, before, after);
  return Object.assign(make("button", { type: "button", tabIndex: -1 }, token, track, shares), { parts });
}
