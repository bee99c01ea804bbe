// All of textgen.chat(): the list, the box, the buttons, and what each of them does.

const PACE = 25; // milliseconds a word, so that a reader can follow
const CHUNK = 32; // tokens of a long conversation that are read at once, before the browser may do something else
const TOGETHER = "Side by side";
let chats = 0; // each needs a name for its radio buttons

class Chat {
  constructor(root, data, talk, load, report = () => {}) {
    Object.assign(this, { data, report, settings: { ...data.settings }, exchanges: [], busy: false });
    this.models = data.models.map((model) => ({ ...model, engine: new InBrowser(() => load(model)) }));
    this.chosen = this.models.find(({ name }) => name === talk.name) ?? this.models[0];
    this.together = Object.keys(talk.turns.at(-1)?.answers ?? {}).length > 1;
    const button = (words, action, className = "") => {
      const node = make("button", { type: "button", className }, words);
      node.addEventListener("click", action);
      return node;
    };
    this.log = make("div", { className: "ch-log", role: "log", "aria-live": "polite", tabIndex: 0 });
    this.log.setAttribute("aria-label", "Conversation");
    this.box = make("textarea", { rows: 2, dir: "auto", autocomplete: "off" });
    this.go = button("Send", () => this.send(this.box.value), "ch-go");
    this.halt = button("Stop", () => this.stop());
    this.back = button("Edit last message", () => this.edit());
    this.over = button("Start over", () => this.startOver());
    this.prompts = make("div", { className: "ch-prompts", role: "group", "aria-label": "Suggested first messages" });
    for (const prompt of data.prompts) {
      const ask = () => this.send(prompt, this.log.focus({ preventScroll: true })); // for the buttons disappear
      this.prompts.append(button(prompt, ask));
    }
    this.note = make("p", { className: "ch-quiet", role: "status" });
    this.message = make("p", { className: "ch-message", role: "alert" });
    this.status = make("p", { className: "ch-quiet", role: "status" });
    const inputs = settingInputs(this.settings, (name, value, words) => {
      this.settings[name] = value;
      this.status.textContent = words;
    });
    const seeds = "An answer draws with the seed plus the number of answers before it: the whole can be repeated.";
    root.replaceChildren(
      ...this.modelSwitch(),
      this.log,
      this.note,
      this.prompts,
      make("label", { className: "ch-box" }, "Your message", this.box),
      make("div", { className: "ch-actions" }, this.go, this.halt, this.back, this.over),
      this.message,
      this.status,
      make(
        "details",
        {},
        make("summary", {}, "Sampling settings"),
        make("div", { className: "ch-settings" }, ...inputs),
        make("p", { className: "ch-quiet" }, seeds),
      ),
      make("p", { className: "ch-quiet" }, this.about()),
    );
    this.box.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.send(this.box.value);
    });
    for (const turn of structuredClone(talk.turns)) {
      const exchange = this.append(turn);
      for (const name of Object.keys(turn.answers)) exchange.finish(name);
    }
    this.setBusy(false);
    this.update();
  }

  about() {
    const all = this.models.map(({ name, parameters }) => `${name}: ${withCommas(parameters)} weights`).join(", ");
    return `${all}. ${this.models.length > 1 ? "They run" : "It runs"} in your browser.${PRIVATE}`;
  }

  modelSwitch() {
    if (this.models.length === 1) return [];
    const group = `textgen-chat-${chats++}`;
    const radio = (words, checked, choose) => {
      const input = make("input", { type: "radio", name: group, checked, autocomplete: "off" });
      input.addEventListener("change", choose);
      return make("label", {}, input, words);
    };
    const one = (model) =>
      radio(model.name, !this.together && model === this.chosen, () => {
        Object.assign(this, { chosen: model, together: false });
        this.changed();
      });
    const all = radio(TOGETHER, this.together, () => (this.together = true));
    const legend = make("legend", {}, "Who answers");
    return [make("fieldset", { className: "ch-models" }, legend, ...this.models.map(one), all)];
  }

  turns = () => this.exchanges.map(({ turn }) => turn);

  append(turn) {
    const exchange = new Exchange(turn);
    this.exchanges.push(exchange);
    this.log.append(exchange.node);
    this.log.scrollTop = this.log.scrollHeight;
    return exchange;
  }

  setBusy(busy) {
    if (!busy && this.halt === document.activeElement) this.box.focus();
    this.busy = busy;
    this.halt.hidden = !busy;
    this.go.setAttribute("aria-disabled", String(busy)); // not disabled: that would lose the focus
    this.log.setAttribute("aria-busy", String(busy));
  }

  // End what is going on.
  stop() {
    this.action?.abort();
    this.message.textContent = this.status.textContent = "";
    this.setBusy(false);
  }

  // Bring the models to the page that are not here yet.
  async open(models, signal) {
    for (const model of models.filter(({ session }) => !session)) {
      const size = model.bytes ? ` (${(model.bytes / 1e6).toFixed(1)} MB)` : "";
      this.status.textContent = `Loading ${model.name}${size} …`;
      await pause(); // to paint that
      await model.engine.open();
      model.session ??= model.engine.session();
      signal.throwIfAborted();
    }
    this.status.textContent = "";
  }

  // What `model` reads to answer the last of these turns, and how; an error in words where that does not fit by itself.
  context(model, turns) {
    const room = model.block_size - this.data.max_new_tokens;
    const { ids, first, number } = context(model.engine, turns, model.name, room);
    if (ids.length > room) {
      const fit = `together with the answer it must fit into the ${model.block_size} that the model sees`;
      throw new Error(`Your message is too long: it takes ${ids.length} tokens, and ${fit}. Please shorten it.`);
    }
    return { ids, first, settings: { ...this.settings, seed: this.settings.seed + number } };
  }

  // Ask, and show the answers as they come. The message leaves the box only when the models can read it.
  async send(question) {
    if (this.busy || blank(question)) return;
    this.stop();
    this.action = new AbortController();
    const { signal } = this.action;
    const models = this.together ? this.models : [this.chosen];
    let exchange;
    this.setBusy(true);
    try {
      await this.open(models, signal);
      const turn = { question: question.trim(), answers: {}, dropped: {} };
      const contexts = models.map((model) => this.context(model, [...this.turns(), turn]));
      models.forEach(({ name }, i) => {
        turn.answers[name] = "";
        turn.dropped[name] = contexts[i].first;
      });
      exchange = this.append(turn);
      if (this.box.value === question) this.box.value = "";
      this.update();
      for (const [i, model] of models.entries()) {
        await this.answer(model, exchange, contexts[i], signal);
        exchange.finish(model.name);
        this.follow();
      }
    } catch (error) {
      if (error.name !== "AbortError") this.message.textContent = error.message;
    }
    for (const { name } of exchange ? models : []) exchange.finish(name); // those that were not reached
    if (!signal.aborted) this.setBusy(false);
    this.changed();
  }

  // Write one answer into the exchange, word by word. What the model has read of the conversation is not read again.
  async answer({ name, engine, session, block_size }, exchange, { ids, settings }, signal) {
    const run = Object.assign(new Run(engine, settings, block_size), { session });
    run.take(ids);
    let known = 0;
    while (known < ids.length && session.ids[known] === ids[known]) known++;
    for (let n = known + CHUNK; n < ids.length; n += CHUNK) {
      engine.next(session, ids.slice(0, n));
      await pause();
      signal.throwIfAborted();
    }
    let [shown, rested] = ["", performance.now()];
    for (let n = 0; n < this.data.max_new_tokens && (await run.step(signal)); n++) {
      const text = engine.decode(run.ids.slice(run.given)).replace(/^ /, "");
      exchange.turn.answers[name] = text;
      const words = text.slice(0, text.lastIndexOf(" ") + 1);
      const word = words !== shown && !REDUCED_MOTION.matches;
      if (!word && performance.now() - rested < 40) continue;
      if (word) {
        exchange.show(name, (shown = words));
        this.follow();
      }
      await pause(word ? PACE : 0);
      signal.throwIfAborted();
      rested = performance.now();
    }
  }

  // Keep the end in sight, unless the reader has scrolled away from it.
  follow() {
    const { scrollHeight, scrollTop, clientHeight } = this.log;
    if (scrollHeight - scrollTop - clientHeight < 100) this.log.scrollTop = scrollHeight;
  }

  // Show what can be done now, and what the last answer was written without.
  update() {
    const none = !this.exchanges.length;
    this.back.disabled = this.over.disabled = none;
    this.prompts.hidden = !none;
    const { dropped = {} } = this.exchanges.at(-1)?.turn ?? {};
    const notes = Object.entries(dropped).map(([name, n]) => {
      const who = this.models.length > 1 ? name : "The model";
      const which = n === 1 ? "first exchange" : `first ${n} exchanges`;
      const { block_size } = this.models.find((model) => model.name === name);
      return n ? `${who} no longer sees the ${which}: its window holds ${block_size} tokens.` : "";
    });
    const words = notes.filter(Boolean).join(" ");
    if (this.note.textContent !== words) this.note.textContent = words; // or it would be said again
    const unseen = Math.min(...Object.values(dropped)); // of no numbers it is above all
    this.exchanges.forEach((exchange, i) => exchange.setUnseen(i < unseen && unseen < Infinity));
  }

  changed() {
    this.update();
    this.report({ name: this.chosen.name, turns: this.turns() });
  }

  // Take the last exchange away, and put its message back into the box.
  edit() {
    this.stop();
    const { turn, node } = this.exchanges.pop();
    node.remove();
    this.box.value = [turn.question, this.box.value].filter((text) => !blank(text)).join("\n");
    this.box.focus();
    this.changed();
  }

  startOver() {
    this.stop();
    this.exchanges.length = 0;
    this.log.replaceChildren();
    this.status.textContent = "A new conversation.";
    this.box.focus();
    this.changed();
  }
}
