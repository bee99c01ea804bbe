// The controls of textgen.live(). gpt.js and fast.js stand above this, in one file: a page of the book runs that file
// as a script, also from file://, and a notebook as an anywidget. What a reader types becomes text nodes, never HTML.

const TEMPERATURES = [...Array.from({ length: 31 }, (_, i) => i / 20), 1.75, 2, 2.5, 3, 4, 5];
const TOP_KS = [1, 2, 3, 5, 10, 20, 50, 100, 200, null];
const TOP_PS = [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, null];
const LENGTHS = [1, 5, 10, 20, 30, 40, 50, 60, 80, 100, 150, 200, 300, 400];
const BARS = 10;
const SCRIPT = globalThis.document?.currentScript?.src; // a module has none
const CALM = globalThis.matchMedia?.("(prefers-reduced-motion: reduce)");

// ---- Where the model runs. Both kinds answer alike, at once or in a while.

class InBrowser {
  constructor(load) {
    this.load = load;
  }

  async open() {
    this.gpt ??= await this.load();
    const { special, vocabulary } = this.gpt.tokenizer;
    this.end = special.get("<|endoftext|>");
    this.vocabulary = vocabulary.map((_, id) => this.pieces([id])[0] || "\ufffd");
  }

  session = () => this.gpt.cache();
  encode = (text) => this.gpt.tokenizer.encode(text);
  decode = (ids) => this.gpt.tokenizer.decode(ids);
  pieces = (ids) => this.gpt.tokenizer.pieces(ids);
  next = (cache, ids) => this.gpt.next(cache, ids);
  look = (cache, ids) => ({ logits: this.gpt.next(cache, ids), attention: cache.attention[ids.length - 1] });
}

class InPython {
  constructor(model) {
    Object.assign(this, { model, asked: 0, waiting: new Map() });
    this.name = `${Math.random()} `; // another view of this widget hears our answers too
    model.on("msg:custom", ({ id, error, ...result }, buffers) => {
      const question = this.waiting.get(id);
      if (!this.waiting.delete(id)) return;
      const floats = buffers.map((b) => new Float32Array(b.buffer.slice(b.byteOffset, b.byteOffset + b.byteLength)));
      if (error === undefined) question.resolve({ ...result, floats });
      else question.reject(new Error(error));
    });
  }

  ask(what, ...given) {
    const id = this.name + this.asked++;
    this.model.send({ id, ask: what, with: given });
    return new Promise((resolve, reject) => this.waiting.set(id, { resolve, reject }));
  }

  async open() {
    const { pieces, end } = await this.ask("open");
    Object.assign(this, { vocabulary: pieces, end });
  }

  session = () => this.name + this.asked++;
  encode = async (text) => (await this.ask("encode", text)).ids;
  decode = async (ids) => (await this.ask("decode", ids)).text;
  pieces = (ids) => ids.map((id) => this.vocabulary[id].replaceAll("\ufffd", ""));
  next = async (session, ids) => Float64Array.from((await this.ask("next", session, ids)).floats[0]);

  async look(_, ids) {
    const [logits, attention] = (await this.ask("look", ids)).floats;
    return { logits: Float64Array.from(logits), attention };
  }
}

// The weights of a page come as a script, since file:// refuses fetch: it leaves a string and its checksum.
const shipped = new Map(); // name -> promise of a GPT, one for all controls of the page

function load(name) {
  if (!shipped.has(name)) {
    shipped.set(name, fetchModel(name));
    shipped.get(name).catch(() => shipped.delete(name)); // so that the next try is one
  }
  return shipped.get(name);
}

async function fetchModel(name) {
  const script = make("script", { src: new URL(`live/${name}.js`, SCRIPT).href });
  const arrived = new Promise((resolve) => {
    script.onload = () => resolve(true);
    script.onerror = () => resolve(false);
  });
  document.head.append(script);
  const there = await arrived;
  script.remove();
  if (!there) throw new Error(`The model did not arrive (${name}.js): check the connection, then try again.`);
  const { crc32, base64 } = globalThis.textgenModels?.[name] ?? {};
  delete globalThis.textgenModels?.[name];
  try {
    const characters = atob(base64);
    const bytes = new Uint8Array(characters.length);
    for (let i = 0; i < bytes.length; i++) bytes[i] = characters.charCodeAt(i);
    if (checksum(bytes) === crc32) return new GPT(bytes);
  } catch {} // no base64: altered as well
  throw new Error(`The model's file ${name}.js is truncated or altered: reload the page, or build the book again.`);
}

// CRC-32, as Python's zlib.crc32 computes it.
function checksum(bytes) {
  const table = Int32Array.from({ length: 256 }, (_, n) => {
    for (let bit = 0; bit < 8; bit++) n = n & 1 ? (n >>> 1) ^ 0xedb88320 : n >>> 1;
    return n;
  });
  let crc = -1;
  for (let i = 0; i < bytes.length; i++) crc = table[(crc ^ bytes[i]) & 255] ^ (crc >>> 8);
  return ~crc >>> 0;
}

// ---- Small parts.

function make(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in node) node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

// Many things, one stop of the Tab key: the arrow keys move among them, `columns` in a row.
function roving(box, things, columns = 1) {
  box.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns, Home: -1e9, End: 1e9 };
    const all = things();
    const at = all.indexOf(event.target);
    if (at < 0 || !(event.key in steps) || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    all[Math.min(all.length - 1, Math.max(0, at + steps[event.key]))].focus();
  });
  box.addEventListener("focusin", (event) => stopAt(things(), event.target));
}

const stopAt = (things, here) => things.forEach((thing) => (thing.tabIndex = thing === here ? 0 : -1));
const percent = (p) => (p > 0 && p < 0.0005 ? "<0.1%" : `${(100 * p).toFixed(1)}%`);
const visible = (piece) => piece.replaceAll(" ", "␣").replaceAll("\n", "↵").replaceAll("\t", "⇥") || "·";
const grouped = (n) => Math.round(n).toLocaleString("en");
const pause = () => new Promise((resolve) => setTimeout(resolve));

// A native slider over `values`, which shows and says the value as `words` has it.
function slider(name, values, value, words, changed) {
  const all = values.includes(value) ? values : [...values, value].sort((a, b) => (a ?? 1e9) - (b ?? 1e9));
  const input = make("input", { type: "range", min: 0, max: all.length - 1, step: 1, autocomplete: "off" });
  const output = make("output", { "aria-live": "off" }); // the slider itself says its value
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

// ---- One setting, the text that it writes, and what comes next.

class Run {
  constructor(player, settings) {
    Object.assign(this, { player, engine: player.engine, settings: { ...settings }, ids: [], ticket: 0 });
    const change = (name) => (value) => {
      this.settings[name] = value;
      player.changed(this);
    };
    const off = (value) => String(value ?? "off");
    const highest = 2 ** 32 - 1;
    const limits = { type: "number", min: 0, max: highest, step: 1 };
    const seed = make("input", { ...limits, value: settings.seed, autocomplete: "off" });
    const whole = (value) => Math.min(highest, Math.max(0, Math.trunc(value) || 0));
    const another = make("button", { type: "button", "aria-label": "Another seed", title: "Another seed" }, "+1");
    seed.addEventListener("input", () => change("seed")(whole(seed.value)));
    seed.addEventListener("change", () => (seed.value = this.settings.seed)); // show what is used
    another.addEventListener("click", () => {
      seed.value = whole(this.settings.seed + 1);
      change("seed")(Number(seed.value));
    });
    const words = (t) => (t === 0 ? "0, the likeliest" : String(t));
    this.legend = make("legend");
    this.text = make("div", { className: "tl-text", dir: "auto" });
    this.summary = make("p", { className: "tl-quiet" });
    const outgrown = `The text outgrew the model’s ${player.data.block_size} tokens: it sees the dark part.`;
    this.outgrown = make("p", { className: "tl-quiet", hidden: true }, outgrown);
    this.heading = make("p", { className: "tl-heading" }, "What comes next");
    this.note = make("p", { className: "tl-quiet" });
    this.bars = Array.from({ length: BARS }, makeBar);
    const box = make("div", { className: "tl-bars", role: "toolbar", "aria-orientation": "vertical" }, ...this.bars);
    box.setAttribute("aria-label", "The likeliest next tokens; choose one to go on with it");
    this.node = make(
      "div",
      { className: "tl-run" },
      make(
        "fieldset",
        { className: "tl-settings" },
        this.legend,
        slider("temperature", TEMPERATURES, settings.temperature, words, change("temperature")),
        slider("top-k", TOP_KS, settings.top_k, off, change("top_k")),
        slider("top-p", TOP_PS, settings.top_p, off, change("top_p")),
        make("div", { className: "tl-setting tl-seed" }, make("label", {}, make("span", {}, "seed"), seed), another),
      ),
      make("div", { className: "tl-written" }, this.text, this.summary, this.outgrown),
      make("div", { className: "tl-next" }, this.heading, box, this.note),
    );
    roving(this.text, this.options);
    roving(box, () => this.bars.filter((bar) => !bar.hidden && !bar.disabled));
    this.text.addEventListener("focusin", ({ target }) => {
      if (target.position >= 0) player.guard(() => player.look(this, target.position, true));
    });
    box.addEventListener("click", ({ target }) => {
      const bar = target.closest("button");
      if (bar) player.guard(() => player.choose(this, bar.token));
    });
  }

  options = () => [...this.text.querySelectorAll("[role=option]")];

  // Where the window began when the model had read the first `n` tokens, and these from there on.
  window(n) {
    let start = 0;
    for (let m = Math.min(n, this.given); m <= n; m++) start = slide(start, m, this.player.data.block_size ?? Infinity);
    return start;
  }

  seen = (n = this.ids.length) => this.ids.slice(this.window(n), n);

  // A text that was written before the model came to this page.
  sample(prompt, text) {
    this.text.replaceChildren(make("b", {}, prompt), text.slice(prompt.length));
  }

  // Go to the end of the prompt. What the model read of it before, it need not read again.
  async begin(prompt) {
    const mine = ++this.ticket;
    const ids = [this.engine.end, ...(await this.engine.encode(prompt))];
    if (mine !== this.ticket) return false;
    this.session ??= this.engine.session();
    if (ids.length !== this.given) this.painted = null; // other tokens are the prompt's now
    Object.assign(this, { prompt, ids, given: ids.length, start: 0, ended: false, chosen: [], seconds: undefined });
    this.summary.textContent = "";
    return true;
  }

  // Read what is new, and return the logits of what follows.
  read() {
    this.start = this.window(this.ids.length);
    return this.engine.next(this.session, this.seen());
  }

  // Draw a token. The number to draw with belongs to its place in the text, whatever was chosen by hand before.
  async step(mine) {
    this.logits = await this.read();
    if (mine !== this.ticket) return false;
    const place = this.ids.length - this.given;
    if (!place) this.began = JSON.stringify(this.settings);
    const uniform = uniforms(this.settings.seed);
    for (let i = 0; i < place; i++) uniform();
    this.add(draw(filtered(this.logits, this.settings), uniform()));
    return !this.ended;
  }

  add(id) {
    this.ended = id === this.engine.end;
    if (!this.ended) this.ids.push(id);
  }

  // Write up to `n` tokens. False if the reader asked for something else meanwhile.
  async write(n) {
    const mine = ++this.ticket;
    const from = this.ids.length;
    const started = performance.now();
    let [first, painted] = [null, 0];
    while (this.ids.length < from + n && (await this.step(mine))) {
      if (performance.now() - painted < 40) continue;
      first ??= performance.now() - started;
      this.paint();
      if (!CALM.matches) this.expect(this.ids.length - 2, this.logits);
      await pause();
      if (mine !== this.ticket) return false;
      painted = performance.now();
    }
    if (mine !== this.ticket) return false;
    const tokens = this.ids.length - from;
    this.seconds = (performance.now() - started) / 1000;
    const fast = tokens > 1 ? `, ${grouped(tokens / this.seconds)} a second, the first after ${Math.ceil(first)} ms` : "";
    this.summary.textContent = `${tokens} token${tokens === 1 ? "" : "s"} in ${this.seconds.toFixed(3)} s${fast}.`;
    if (this.ended) this.summary.append(" The text ends here.");
    return true;
  }

  written = async () => this.prompt + (await this.engine.decode(this.ids.slice(this.given)));

  // Show the text, token by token where the model has it in sight.
  paint() {
    const ids = this.ids.slice(this.start);
    const all = this.engine.pieces(this.ids);
    const held = this.text.contains(document.activeElement);
    const old = this.painted === this.start ? this.options() : [];
    let same = 0;
    while (same < old.length && old[same].token === ids[same]) same++;
    if (same) {
      while (this.text.lastChild !== old[same - 1]) this.text.lastChild.remove();
    } else {
      const past = all.slice(1, this.start).join("");
      this.text.replaceChildren(...(past ? [make("span", { className: "tl-past" }, past)] : []));
      this.text.setAttribute("role", "listbox");
    }
    for (let i = same; i < ids.length; i++) {
      const position = this.start + i;
      const piece = position ? all[position] : "start";
      const option = make("span", { role: "option", tabIndex: -1, "aria-selected": "false" }, piece || "·");
      if (!position) option.dir = "ltr"; // or this word would give the whole text its direction
      option.className = position === 0 ? "tl-mark" : position < this.given ? "tl-given" : "";
      if (!piece.trim()) option.setAttribute("aria-label", piece ? visible(piece) : "part of a character");
      this.text.append(Object.assign(option, { token: ids[i], position }));
    }
    if (this.ended) this.text.append(make("span", { className: "tl-mark", ariaHidden: "true" }, "end"));
    this.outgrown.hidden = !this.start;
    this.painted = this.start;
    if (held && !this.text.contains(document.activeElement)) this.options().at(-1).focus();
  }

  // Show what the model expected after the token at `at`: by itself, and as the settings leave it.
  expect(at, logits) {
    const before = softmax(logits.slice());
    const after = filtered(logits, this.settings);
    const came = this.ids[at + 1] ?? (this.ended ? this.engine.end : null);
    const top = [...before.keys()].sort((a, b) => before[b] - before[a]).slice(0, BARS);
    if (came !== null && !top.includes(came)) top[top.length - 1] = came;
    const widest = Math.max(...top.map((id) => Math.max(before[id], after[id])));
    this.bars.forEach((bar, i) => {
      const id = top[i];
      bar.hidden = id === undefined;
      if (bar.hidden) return;
      const [token, pale, dark, shares] = bar.parts;
      token.textContent = id === this.engine.end ? "end" : visible(this.engine.vocabulary[id]);
      token.classList.toggle("tl-mark", id === this.engine.end);
      pale.style.width = `${(100 * before[id]) / widest}%`;
      dark.style.width = `${(100 * after[id]) / widest}%`;
      shares.textContent = `${percent(before[id])} → ${after[id] ? percent(after[id]) : "cut"}`;
      bar.classList.toggle("tl-cut", !after[id]);
      bar.setAttribute("aria-current", id === came);
      bar.title = id === came ? "This one came next" : "Go on with this one";
      Object.assign(bar, { token: id, disabled: at < this.given - 1 }); // a prompt stays as it is
    });
    if (!this.bars.some((bar) => bar.tabIndex === 0 && !bar.hidden)) stopAt(this.bars, this.bars[0]);
    const left = after.reduce((n, p) => n + (p > 0), 0);
    this.heading.replaceChildren(at ? "What comes after " : "What comes first", at ? this.quote(at) : "");
    this.note.textContent = `Pale: the model itself. Dark: with the settings, which leave ${grouped(left)} of ${grouped(after.length)} tokens.`;
  }

  quote(at) {
    return make("q", {}, at ? visible(this.engine.pieces(this.ids.slice(0, at + 1)).at(-1)) : "start");
  }
}

function makeBar() {
  const parts = ["tl-token", "tl-before", "tl-after", "tl-shares"].map((className) => make("span", { className }));
  const [token, before, after, shares] = parts;
  const track = make("span", { className: "tl-track" }, before, after);
  return Object.assign(make("button", { type: "button", tabIndex: -1 }, token, track, shares), { parts });
}

// ---- Every head of every layer, as the token that was chosen last uses it.

class Heads {
  constructor({ n_layer = 0, n_head = 0 }, chosen) {
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
    const note = "Row: layer. Box: head. Bars: the tokens so far, the highest is what it looks at most. Choose a token in the text, a head here.";
    this.node = make("div", { className: "tl-heads", hidden: !n_head }, this.heading, this.grid, this.sentence);
    this.node.append(make("p", { className: "tl-quiet" }, note));
    roving(this.grid, () => this.cells, n_head);
    this.grid.addEventListener("focusin", ({ target }) => {
      if (!this.cells.includes(target)) return;
      Object.assign(this, { layer: target.layer, head: target.head });
      this.cells.forEach((cell) => cell.setAttribute("aria-checked", String(cell === target)));
      chosen();
    });
  }

  // Draw `attention` (n_layer, n_head, T) of the run's token at `at`, and return it in words.
  show(run, at, attention) {
    this.node.hidden = !attention;
    if (!attention) return "";
    const start = run.window(at + 1);
    const T = at - start + 1;
    const weights = ({ layer, head }) => attention.subarray((layer * this.n_head + head) * T).subarray(0, T);
    for (const cell of this.cells) {
      const highest = Math.max(...weights(cell));
      const bars = Array.from(weights(cell), (w, i) => `M${i} 1V${(1 - w / highest).toFixed(3)}h.9V1`);
      cell.picture.setAttribute("viewBox", `0 0 ${Math.max(T, 8)} 1`);
      cell.path.setAttribute("d", bars.join(""));
    }
    const now = weights(this);
    const most = Math.max(...now);
    for (const option of run.options()) {
      option.style.setProperty("--w", ((now[option.position - start] ?? 0) / most).toFixed(3));
    }
    const top = [...now.keys()].sort((a, b) => now[b] - now[a]).slice(0, 3);
    const looks = top.flatMap((i) => [", ", run.quote(start + i), ` ${percent(now[i])}`]).slice(1);
    this.heading.replaceChildren("What ", run.quote(at), " looks at");
    this.sentence.replaceChildren(`Layer ${this.layer + 1}, head ${this.head + 1}: `, ...looks, ".");
    return this.sentence.textContent;
  }
}

// ---- All of it.

class Player {
  constructor(root, data, engine, report = () => {}) {
    Object.assign(this, { root, data, engine, report, timers: {}, turn: 0, whole: false, used: false });
    const button = (text, action, className = "") => {
      const node = make("button", { type: "button", className }, text);
      node.addEventListener("click", () => this.guard(action));
      return node;
    };
    this.prompt = make("textarea", { rows: 2, value: data.prompt, spellcheck: false, dir: "auto", autocomplete: "off" });
    this.go = button("Generate", () => (this.busy ? this.halt() : this.generate()), "tl-go");
    this.two = make("input", { type: "checkbox", checked: data.settings.length > 1, autocomplete: "off" });
    this.message = make("p", { className: "tl-message", role: "alert" });
    this.loading = make("p", { className: "tl-loading", role: "status" });
    this.status = make("p", { className: "tl-status", role: "status" });
    this.json = make("pre");
    this.python = make("pre");
    this.heads = new Heads(data, () => this.looked && this.look(...this.looked, true));
    this.runs = [0, 1].map((i) => new Run(this, data.settings[i] ?? data.settings[0]));
    this.area = make("div", { className: "tl-runs tl-fresh" }, ...this.runs.map((run) => run.node), this.heads.node);
    const lengths = slider("new tokens", LENGTHS, data.max_new_tokens, String, (n) => {
      data.max_new_tokens = n;
      this.changed();
    });
    root.replaceChildren(
      make("div", { className: "tl-prompt" }, make("label", {}, "Prompt", this.prompt), ...this.menu()),
      make(
        "div",
        { className: "tl-actions" },
        this.go,
        button("One token", () => this.one()),
        button("Start over", () => this.over()),
        lengths,
        make("label", { className: "tl-two" }, this.two, "Compare two settings"),
      ),
      this.message,
      this.area,
      this.loading,
      make("details", {}, make("summary", {}, "The call as JSON"), this.json, this.python),
      make("p", { className: "tl-quiet" }, this.about()),
      this.status,
    );
    this.prompt.addEventListener("input", () => this.later("prompt", 200, () => this.over()));
    this.prompt.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.guard(() => this.generate());
    });
    this.two.addEventListener("change", () => this.guard(() => this.compare()));
    this.runs.forEach((run, i) => run.sample(data.prompt, data.texts[i] ?? data.texts[0]));
    this.arrange();
    this.settle(false);
    this.invite();
    this.describe();
  }

  active = () => (this.two.checked ? this.runs : this.runs.slice(0, 1));

  about() {
    const { model = "The model", parameters } = this.data;
    const here = "runs in your browser. What you type stays there.";
    return `${model}, ${grouped(parameters)} weights, ${this.engine instanceof InBrowser ? here : "runs in Python."}`;
  }

  menu() {
    const prompts = Object.entries(this.data.prompts);
    if (!prompts.length) return [];
    const options = prompts.map(([name, prompt]) => new Option(name, prompt));
    const select = make("select", { autocomplete: "off" }, new Option("…", ""), ...options);
    this.prompt.addEventListener("input", () => (select.selectedIndex = 0));
    select.addEventListener("change", () => {
      if (!select.selectedIndex) return;
      this.prompt.value = select.value;
      this.guard(() => this.generate());
    });
    return [make("label", { className: "tl-menu" }, "or one of these", select)];
  }

  arrange() {
    const two = this.two.checked;
    this.area.classList.toggle("tl-compare", two);
    this.runs[1].node.hidden = !two;
    this.runs.forEach((run, i) => {
      const name = two ? `Setting ${"AB"[i]}` : "Settings";
      run.legend.textContent = name;
      run.text.setAttribute("aria-label", `${two ? `${name}: the` : "The"} text, token by token`);
    });
  }

  // Do what the reader asks; what fails is one sentence in the control.
  async guard(action) {
    this.message.textContent = "";
    try {
      await action();
    } catch (error) {
      this.settle(false);
      this.message.textContent = error.message;
    }
  }

  later(what, milliseconds, action) {
    clearTimeout(this.timers[what]);
    this.timers[what] = setTimeout(() => this.guard(action), milliseconds);
  }

  settle(busy) {
    this.busy = busy;
    this.go.textContent = busy ? "Stop" : "Generate";
    this.area.setAttribute("aria-busy", String(busy));
  }

  // Before anything is done: what was going on ends, and the model comes, if it is not here yet. False if meanwhile
  // something else was asked for.
  async open() {
    const turn = ++this.turn;
    this.runs.forEach((run) => run.ticket++);
    clearTimeout(this.timers.prompt);
    clearTimeout(this.timers.change);
    this.settle(false);
    if (!this.used) {
      this.loading.replaceChildren(make("progress", { "aria-label": "Loading" }), ` Loading the model${this.size()} …`);
      await pause(); // to paint that
      try {
        await this.engine.open();
      } catch (error) {
        this.invite();
        throw error;
      }
      this.loading.hidden = this.used = true;
    }
    if (turn !== this.turn) return false;
    this.area.classList.remove("tl-fresh");
    return true;
  }

  size = () => (this.data.bytes ? ` (${(this.data.bytes / 1e6).toFixed(1)} MB)` : "");

  invite() {
    this.loading.textContent = `This was written before you came. Press Generate, and the model${this.size()} loads and writes for you.`;
  }

  async generate() {
    const opened = this.open();
    this.settle(true);
    if (!(await opened)) return;
    const { turn } = this;
    this.whole = true;
    for (const run of this.active()) {
      if (turn !== this.turn || !(await run.begin(this.prompt.value))) return;
      if (!(await run.write(this.data.max_new_tokens))) return;
      await this.finish(run);
    }
    if (turn !== this.turn) return;
    this.settle(false);
    this.tell();
  }

  async one() {
    if (!(await this.open())) return;
    this.whole = false;
    for (const run of this.active()) {
      if (run.prompt !== this.prompt.value && !(await run.begin(this.prompt.value))) return;
      if (run.ended) run.summary.textContent = "The text has ended: start over, or choose another token.";
      else if (!(await run.write(1))) return;
      await this.finish(run);
    }
    this.tell((run) => visible(this.engine.pieces(run.ids).at(-1)));
  }

  async over() {
    if (!(await this.open())) return;
    this.whole = false;
    for (const run of this.active()) {
      if (!(await run.begin(this.prompt.value))) return;
      await this.finish(run);
    }
    this.tell();
  }

  async halt() {
    this.turn++;
    this.runs.forEach((run) => run.ticket++);
    this.settle(false);
    this.whole = false;
    for (const run of this.active()) {
      if (!run.session) continue;
      run.summary.textContent = `Stopped after ${grouped(run.ids.length - run.given)} tokens.`;
      await this.finish(run);
    }
    this.tell();
  }

  // A setting moved. A whole text is written anew at once where that takes no time; else the bars follow.
  changed(run) {
    if (!this.used) return;
    if (this.whole && this.engine instanceof InBrowser) this.later("change", 30, () => this.generate());
    else if (run?.session) this.later("change", 30, () => this.look(run, run.at).then(() => this.describe()));
  }

  async compare() {
    this.arrange();
    if (!this.used) return this.describe();
    if (this.whole) return this.generate();
    if (!(await this.open())) return;
    for (const run of this.active()) {
      if (run.prompt !== this.prompt.value && !(await run.begin(this.prompt.value))) return;
      await this.finish(run);
    }
  }

  // Put another token after the one looked at. What stood there goes, and as much as it was is written again.
  async choose(run, token) {
    if (!(await this.open())) return;
    const rest = run.ids.length - run.at - 2;
    run.ids.length = run.at + 1;
    run.add(token);
    run.chosen = run.chosen.filter(({ position }) => position <= run.at); // what stood further on is gone
    run.chosen.push({ position: run.at + 1, token: this.engine.vocabulary[token] });
    run.summary.textContent = "";
    this.whole = false;
    if (rest > 0 && !run.ended && !(await run.write(rest))) return;
    await this.finish(run);
    this.tell();
  }

  // A text stands: read its last token too, show all, and hand it on.
  async finish(run) {
    const mine = run.ticket;
    await run.read();
    if (mine !== run.ticket) return;
    run.paint();
    await this.look(run, run.ids.length - 1);
    if (run === this.runs[0]) this.report(await run.written());
    await this.describe();
  }

  // Look at one token: what it attends to, and what was expected after it.
  async look(run, at, speak = false) {
    const mine = run.ticket;
    const { logits, attention } = await this.engine.look(run.session, run.seen(at + 1));
    if (mine !== run.ticket) return;
    if (this.looked && this.looked[0] !== run) this.looked[0].options().forEach((one) => one.style.removeProperty("--w"));
    this.looked = [run, at];
    run.at = at;
    const options = run.options();
    options.forEach((option) => option.setAttribute("aria-selected", String(option.position === at)));
    stopAt(options, options[at - run.start]);
    run.expect(at, logits);
    const words = this.heads.show(run, at, attention);
    if (!speak) return;
    clearTimeout(this.timers.tell); // or the text, said late, would drown this
    this.status.textContent = words;
  }

  // Say what has become of each setting, once it has been still for a moment.
  tell(words = (run) => run.written()) {
    this.later("tell", 300, async () => {
      const said = [];
      for (const run of this.active()) {
        if (run.session) said.push(this.two.checked ? run.legend.textContent : "", run.summary.textContent, await words(run));
      }
      this.status.textContent = said.join(" ");
    });
  }

  // The call, as a program would make it.
  async describe() {
    const calls = [];
    let same = true;
    for (const [i, run] of this.active().entries()) {
      const inputs = run.prompt ?? this.data.prompt;
      const written = run.session && !this.whole ? run.ids.length - run.given : 0;
      const max_new_tokens = written || this.data.max_new_tokens;
      const parameters = { max_new_tokens, ...run.settings };
      if (run.session && (written || this.whole)) same &&= !run.chosen.length && run.began === JSON.stringify(run.settings);
      const generated_text = run.session ? await run.written() : (this.data.texts[i] ?? this.data.texts[0]);
      calls.push({ inputs, parameters, outputs: [{ generated_text }] });
      if (run.chosen?.length) calls[i].chosen_by_hand = run.chosen;
      if (run.seconds) calls[i].seconds = Number(run.seconds.toFixed(3));
    }
    this.json.textContent = JSON.stringify(calls.length > 1 ? calls : calls[0], null, 2);
    const lines = calls.map(({ inputs, parameters }) => {
      const given = Object.entries(parameters).map(([name, value]) => `${name}=${value ?? "None"}`);
      return `textgen.generate(model, tokenizer, ${JSON.stringify(inputs)}, ${given.join(", ")})`;
    });
    const title = same ? "The same in Python" : "In Python, without what was changed or chosen on the way";
    this.python.textContent = `# ${title}\n${lines.join("\n")}`;
  }
}

// ---- Two doors: a notebook calls render, a page of the book runs the last lines.

function render({ model, el }) {
  const weights = model.get("weights");
  const read = () => new GPT(new Uint8Array(weights.buffer, weights.byteOffset, weights.byteLength));
  const engine = weights.byteLength ? new InBrowser(read) : new InPython(model);
  const root = make("div", { className: "textgen-live", "data-lm-suppress-shortcuts": "true" }); // JupyterLab's keys
  el.append(root);
  new Player(root, structuredClone(model.get("data")), engine, (text) => {
    model.set("text", text);
    model.save_changes();
  });
}

export default { render };

if (SCRIPT) {
  for (const root of document.querySelectorAll(".textgen-live")) {
    const data = JSON.parse(root.querySelector("script").textContent);
    new Player(root, data, new InBrowser(() => load(data.model)));
  }
}
