// One exchange in the list: the question, and the answers under it or side by side.

class Exchange {
  constructor(turn) {
    this.turn = turn;
    const unseen = "Out of the window, no longer seen";
    this.mark = make("p", { className: "ch-mark", hidden: true, "aria-live": "off" }, unseen);
    this.answers = make("div", { className: "ch-answers" });
    const question = make("p", { className: "ch-text", dir: "auto" }, turn.question);
    const you = make("div", { className: "ch-said ch-you" }, make("p", { className: "ch-name" }, "You"), question);
    this.node = make("div", { className: "ch-exchange" }, this.mark, you, this.answers);
    this.texts = {};
    for (const name of Object.keys(turn.answers)) {
      const text = make("p", { className: "ch-text", dir: "auto", "aria-hidden": "true" }, "…"); // while it is written
      this.answers.append(make("div", { className: "ch-said" }, make("p", { className: "ch-name" }, name), text));
      this.texts[name] = text;
    }
  }

  show(name, text) {
    this.texts[name].textContent = text;
  }

  // The answer of `name` is complete: a new node, which the log announces.
  finish(name) {
    if (!this.texts[name].hasAttribute("aria-hidden")) return;
    const text = this.turn.answers[name];
    const written = make("p", { className: "ch-text", dir: "auto" }, text);
    if (blank(text)) {
      written.className = "ch-quiet";
      written.textContent = "It wrote nothing, so it will not see this exchange. Ask in other words, or try another seed.";
    }
    this.texts[name].replaceWith(written);
    this.texts[name] = written;
  }

  setUnseen(unseen) {
    this.node.classList.toggle("ch-unseen", unseen);
    this.mark.hidden = !unseen;
  }
}
