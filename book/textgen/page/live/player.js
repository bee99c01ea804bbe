// All the controls of textgen.live(), and what each of them does.

const LENGTHS = [1, 5, 10, 20, 30, 40, 50, 60, 80, 100, 150, 200, 300, 400];

class Player {
  constructor(root, data, engine, report = () => {}) {
    Object.assign(this, { data, engine, report, length: data.max_new_tokens, timers: {}, loaded: false });
    this.generated = false; // the texts are what Generate wrote, so it may write them again when a setting moves
    this.size = data.bytes ? ` (${(data.bytes / 1e6).toFixed(1)} MB)` : "";
    const button = (text, action, className = "") => {
      const node = make("button", { type: "button", className }, text);
      node.addEventListener("click", () => this.runSafely(action));
      return node;
    };
    const typed = { spellcheck: false, dir: "auto", autocomplete: "off" };
    this.prompt = make("textarea", { rows: 2, value: data.prompt, ...typed });
    this.go = button("Generate", () => (this.busy ? this.stop() : this.generate()), "tl-go");
    this.two = make("input", { type: "checkbox", checked: data.settings.length > 1, autocomplete: "off" });
    this.message = make("p", { className: "tl-message", role: "alert" });
    engine.whenSilent = (words) => {
      if (words || this.message.textContent === NO_ANSWER) this.message.textContent = words;
    };
    this.loading = make("p", { className: "tl-loading", role: "status" });
    this.status = make("p", { className: "tl-status", role: "status" });
    this.call = new Call();
    this.heads = new Heads(data, () => {
      if (this.looked) this.runSafely(() => this.look(...this.looked, true));
    });
    this.panels = [0, 1].map((i) => new Panel(this, data.settings[i] ?? data.settings[0]));
    const nodes = this.panels.map((panel) => panel.node);
    this.area = make("div", { className: "tl-runs tl-fresh" }, ...nodes, this.heads.node);
    const lengths = slider("new tokens", LENGTHS, data.max_new_tokens, String, (n) => {
      this.length = n;
      this.settingChanged();
    });
    root.replaceChildren(
      make("div", { className: "tl-prompt" }, make("label", {}, "Prompt", this.prompt), ...this.menu()),
      make(
        "div",
        { className: "tl-actions" },
        this.go,
        button("One token", () => this.oneToken()),
        button("Start over", () => this.reset().then(() => (this.status.textContent = "Back at the prompt."))),
        lengths,
        make("label", { className: "tl-two" }, this.two, "Compare two settings"),
      ),
      this.message,
      this.area,
      this.loading,
      this.call.node,
      make("p", { className: "tl-quiet" }, this.about()),
      this.status,
    );
    this.prompt.addEventListener("input", () => this.later("prompt", 200, () => this.reset()));
    this.prompt.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.runSafely(() => this.generate());
    });
    this.two.addEventListener("change", () => this.runSafely(() => this.compare()));
    this.panels.forEach((panel, i) => panel.showSaved(data.prompt, data.texts[i] ?? data.texts[0]));
    this.arrange();
    this.setBusy(false);
    this.invite();
    this.showCall();
  }

  active = () => (this.two.checked ? this.panels : this.panels.slice(0, 1));

  about() {
    const { model = "The model", parameters } = this.data;
    const where = this.engine instanceof InBrowser ? `runs in your browser.${PRIVATE}` : "runs in Python.";
    return `${model}, ${withCommas(parameters)} weights, ${where}`;
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
      this.runSafely(() => this.generate());
    });
    return [make("label", { className: "tl-menu" }, "or one of these", select)];
  }

  arrange() {
    const two = this.two.checked;
    this.area.classList.toggle("tl-compare", two);
    this.panels[1].node.hidden = !two;
    this.panels.forEach((panel, i) => panel.setName(two ? `Setting ${"AB"[i]}` : ""));
  }

  // An error becomes one sentence in the controls; an action that was aborted ends silently.
  async runSafely(action) {
    try {
      await action();
    } catch (error) {
      if (error.name === "AbortError") return;
      this.setBusy(false);
      this.message.textContent = error.message;
    }
  }

  later(what, milliseconds, action) {
    clearTimeout(this.timers[what]);
    this.timers[what] = setTimeout(() => this.runSafely(action), milliseconds);
  }

  setBusy(busy) {
    this.busy = busy;
    this.go.textContent = busy ? "Stop" : "Generate";
    this.area.setAttribute("aria-busy", String(busy));
  }

  // End the action that is going on, and return the signal of the next, which the one after that aborts.
  interrupt() {
    this.action?.abort();
    this.action = new AbortController();
    this.message.textContent = "";
    this.setBusy(false);
    return this.action.signal;
  }

  // Begin an action: end the one before, and load the model if it is not here yet.
  async open() {
    const signal = this.interrupt();
    clearTimeout(this.timers.prompt);
    clearTimeout(this.timers.change);
    clearTimeout(this.timers.announce);
    if (!this.loaded) {
      const progress = make("progress", { "aria-label": "Loading" });
      this.loading.replaceChildren(progress, ` Loading the model${this.size} …`);
      await pause(); // to paint that
      try {
        await this.engine.open();
      } catch (error) {
        this.invite();
        throw error;
      }
      this.loading.hidden = this.loaded = true;
    }
    signal.throwIfAborted();
    this.area.classList.remove("tl-fresh");
    return signal;
  }

  invite() {
    const loads = `the model${this.size} loads and writes for you.`;
    this.loading.textContent = `This was written before you came. Press Generate, and ${loads}`;
  }

  async generate({ speak = true } = {}) {
    const opened = this.open();
    this.setBusy(true);
    const signal = await opened;
    this.generated = true;
    for (const panel of this.active()) {
      await panel.begin(this.prompt.value, signal);
      await panel.write(this.length, signal);
      await this.finish(panel, signal);
    }
    this.setBusy(false);
    if (speak) this.announce();
  }

  async oneToken() {
    const signal = await this.open();
    this.generated = false;
    for (const panel of this.active()) {
      await panel.goOn(this.prompt.value, signal);
      if (panel.run.ended) panel.summary.textContent = "The text has ended: start over, or choose another token.";
      else await panel.write(1, signal);
      await this.finish(panel, signal);
    }
    this.announce((run) => visible(this.engine.pieces(run.ids).at(-1)));
  }

  async reset() {
    const signal = await this.open();
    this.generated = false;
    for (const panel of this.active()) {
      await panel.begin(this.prompt.value, signal);
      await this.finish(panel, signal);
    }
  }

  async stop() {
    const signal = this.interrupt();
    this.generated = false;
    for (const panel of this.active()) {
      const { session, ids, given } = panel.run;
      if (!session) continue;
      panel.summary.textContent = `Stopped after ${withCommas(ids.length - given)} tokens.`;
      await this.finish(panel, signal);
    }
    this.announce(() => "");
  }

  // A setting moved. Where the model writes in no time, a generated text is written again; elsewhere the bars follow. A
  // slider says its value, so a screen reader hears that and not the text, or `words` where the input is silent.
  settingChanged(panel, words = "") {
    clearTimeout(this.timers.announce);
    this.status.textContent = words;
    if (!this.loaded) return this.runSafely(() => this.showCall());
    const again = { speak: false };
    if (this.generated && this.engine instanceof InBrowser) this.later("change", 30, () => this.generate(again));
    else if (panel?.run.session) {
      this.later("change", 30, () => this.look(panel, panel.at).then(() => this.showCall()));
    }
  }

  async compare() {
    this.arrange();
    if (!this.loaded) return this.showCall();
    if (this.generated) return this.generate({ speak: false });
    const signal = await this.open();
    for (const panel of this.active()) {
      await panel.goOn(this.prompt.value, signal);
      await this.finish(panel, signal);
    }
  }

  // Put another token after the one looked at. What stood there goes, and as much as it was is written again.
  async choose(panel, token) {
    const signal = await this.open();
    const rest = panel.run.replace(panel.at, token);
    panel.summary.textContent = "";
    this.generated = false;
    if (rest > 0 && !panel.run.ended) await panel.write(rest, signal);
    await this.finish(panel, signal);
    this.announce();
  }

  // A text is written: read its last token too, show everything, and hand the text on.
  async finish(panel, signal) {
    await panel.run.read();
    signal.throwIfAborted();
    panel.showText();
    await this.look(panel, panel.run.ids.length - 1);
    signal.throwIfAborted();
    if (panel === this.panels[0]) this.report(await panel.run.written());
    await this.showCall();
    signal.throwIfAborted();
  }

  // Look at one token: what it attends to, and what was expected after it.
  async look(panel, position, speak = false) {
    this.message.textContent = "";
    const { signal } = this.action;
    const { engine, session, ids } = panel.run;
    const { logits, attention } = await engine.look(session, panel.run.inWindow(position + 1));
    if (signal.aborted || panel.run.ids !== ids) return; // there is another text by now
    if (this.looked && this.looked[0] !== panel) {
      this.looked[0].options().forEach((option) => option.style.removeProperty("--w"));
    }
    this.looked = [panel, position];
    panel.select(position);
    panel.showBars(position, logits);
    const words = this.heads.show(panel, position, attention);
    if (!speak) return;
    clearTimeout(this.timers.announce); // or it would replace these words a moment later
    this.status.textContent = words;
  }

  // Tell a screen reader what has become of each setting, once nothing has happened for a moment.
  announce(words = (run) => run.written()) {
    this.later("announce", 300, async () => {
      const said = [];
      for (const { run, legend, summary } of this.active()) {
        if (run.session) said.push(this.two.checked ? legend.textContent : "", summary.textContent, await words(run));
      }
      this.status.textContent = said.join(" ");
    });
  }

  showCall = () => this.call.show(this.active().map(({ run }) => run), this.data, this.length, this.generated);
}
