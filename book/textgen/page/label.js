// The two lives of textgen.label(): the reader chooses the better of two stories, question by question, and sees at
// the end how far they agree with the listener and with themselves. A classic script, so that it also runs from
// file://; label_widget.py makes the same file an anywidget's module. Nothing is stored, and nothing is sent anywhere.
{
  const ENOUGH = 5; // answers, before there is a result to look at

  // An element; what it is given to hold becomes text, never HTML.
  const make = (tag, properties = {}, ...children) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(properties)) {
      if (name in node) node[name] = value;
      else node.setAttribute(name, value);
    }
    node.append(...children);
    return node;
  };

  // The 95% interval of a share, `right` of `n` (Wilson 1927), as in metrics.py.
  const wilson = (right, n, z = 1.96) => {
    const middle = (right + (z * z) / 2) / (n + z * z);
    const half = (z / (n + z * z)) * Math.sqrt((right * (n - right)) / n + (z * z) / 4);
    return [Math.max(0, middle - half), Math.min(1, middle + half)];
  };

  const percent = (share) => `${Math.round(100 * share)}%`;
  const number = (x, digits = 1) => String(Number(x.toFixed(digits))).replace("-", "−");
  const counted = (n, thing) => `${n} ${thing}${n === 1 ? "" : "s"}`;
  const inWords = (heard) => {
    const parts = Object.entries(heard).map(([name, nats]) => `${name}\u00a0${nats > 0 ? "+" : ""}${number(nats, 2)}`);
    return parts.join(", ") || "nothing of note";
  };

  class Labelling {
    constructor(root, data, answers = [], report = () => {}) {
      Object.assign(this, { root, data, report, answers: [...answers], looking: false });
      const button = (words, action, className = "") => {
        const node = make("button", { type: "button", className }, words);
        // the second half of a double click would answer a question that nobody has read
        node.addEventListener("click", (event) => event.detail < 2 && action());
        return node;
      };
      this.progress = make("p", { className: "lb-progress", role: "status", "aria-live": "polite" });
      this.bar = make("progress", { max: data.questions.length, "aria-hidden": "true" });
      this.prompt = make("p", { className: "lb-prompt", dir: "auto" });
      this.stories = [0, 1].map(() => make("p", { className: "lb-story", dir: "auto" }));
      this.choices = [0, 1].map((side) => button(`${"AB"[side]} is better`, () => this.answer(side), "lb-choice"));
      this.choices.forEach((node, i) => node.append(make("kbd", { "aria-hidden": "true" }, i + 1)));
      const cards = this.stories.map((story, side) => {
        const name = `Story ${"AB"[side]}`;
        const properties = { className: "lb-card", role: "group", "aria-label": name };
        return make("div", properties, make("p", { className: "lb-name", "aria-hidden": "true" }, name), story);
      });
      const two = (nodes) => make("div", { className: "lb-two" }, ...nodes);
      this.ask = make("div", {}, this.prompt, two(cards), two(this.choices));
      this.result = make("div", { className: "lb-result" });
      this.back = button("Back", () => this.takeBack());
      this.look = button("", () => this.show((this.looking = !this.looking)));
      this.over = button("Start over", () => this.takeBack(this.answers.length));
      this.reread = button("", () => this.showAll(this.all.hidden));
      const actions = make("div", { className: "lb-actions" }, this.back, this.look, this.reread, this.over);
      const story = (name, text) => make("p", { dir: "auto" }, make("b", {}, `${name}: `), text.trim());
      const items = data.pairs.map(({ prompt, texts: [a, b] }) =>
        make("li", {}, make("p", { dir: "auto" }, prompt), story("A", a), story("B", b)),
      );
      this.all = make("ol", { className: "lb-all" }, ...items);
      const head = make("div", { className: "lb-head" }, this.progress, this.bar);
      root.replaceChildren(head, this.ask, this.result, actions, this.all);
      root.tabIndex = -1; // a click anywhere in the control makes its keys work
      root.addEventListener("keydown", (event) => this.key(event));
      this.show(false);
    }

    done = () => this.answers.length === this.data.questions.length;

    key(event) {
      const side = { 1: 0, a: 0, 2: 1, b: 1 }[event.key.toLowerCase()];
      if (side === undefined || event.ctrlKey || event.altKey || event.metaKey || this.ask.hidden) return;
      event.preventDefault();
      event.stopPropagation(); // to a notebook these letters are commands
      if (!event.repeat) this.answer(side);
    }

    answer(side) {
      this.answers.push(side);
      this.report([...this.answers]);
      this.show(this.done());
    }

    takeBack(count = 1) {
      this.answers.splice(-count, count);
      this.looking = false;
      this.report([...this.answers]);
      this.show(false);
      if (!this.answers.length) this.choices[0].focus(); // the button that was pressed can do no more
    }

    // Show the next question, or the result where the reader looks at it or has answered all.
    show(moveFocus) {
      const { pairs, questions } = this.data;
      const [count, done] = [this.answers.length, this.done()];
      this.ask.hidden = done || this.looking;
      this.result.hidden = !this.ask.hidden;
      this.bar.value = count;
      this.back.disabled = this.over.disabled = !count;
      this.look.hidden = done || count < ENOUGH;
      this.look.textContent = this.looking ? "Go on" : "Show what I have so far";
      this.reread.hidden = !done;
      this.showAll(false);
      if (this.ask.hidden) {
        this.progress.textContent = `${count} of ${questions.length} questions answered`;
        const words = done ? "How far you agree" : "How far you agree, so far";
        const title = make("p", { className: "lb-title", tabIndex: -1 }, words);
        this.result.replaceChildren(title, ...this.findings());
        if (moveFocus) title.focus();
        return;
      }
      const [pair, swapped] = questions[count];
      const { prompt, texts } = pairs[pair];
      this.progress.textContent = `Question ${count + 1} of ${questions.length}`;
      this.prompt.hidden = !prompt.trim();
      this.prompt.replaceChildren(make("span", {}, "Both begin"), prompt.trim());
      this.stories.forEach((story, side) => (story.textContent = texts[side ^ swapped].trim()));
    }

    showAll(shown) {
      this.all.hidden = !shown;
      this.reread.textContent = shown ? "Hide the stories" : "Read the stories again";
      this.reread.setAttribute("aria-expanded", String(shown));
    }

    // What the answers come to, as nodes. Where both stories are worth the same to her, there is nothing to agree on.
    findings() {
      const [first, second] = [new Map(), new Map()]; // labels by pair: when it came, and when it came again
      this.answers.forEach((side, i) => {
        const [pair, swapped] = this.data.questions[i];
        (swapped ? second : first).set(pair, side ^ swapped);
      });
      const prefers = (pair) => this.data.pairs[pair].prefers; // her probability of naming a
      const judged = [...first].filter(([pair]) => prefers(pair) !== 0.5);
      const [n, ties] = [judged.length, first.size - judged.length];
      const agreed = judged.filter(([pair, label]) => label === Number(prefers(pair) < 0.5)).length;
      const herself = judged.reduce((sum, [pair]) => sum + Math.max(prefers(pair), 1 - prefers(pair)), 0);
      const same = [...second].filter(([pair, label]) => label === first.get(pair)).length;
      const left = this.answers.filter((side) => side === 0).length;
      const nodes = [];
      const say = (...words) => nodes.push(make("p", {}, ...words));
      if (n) {
        const [low, high] = wilson(agreed, n);
        say(
          make("b", {}, `You and the listener agree on ${agreed} of ${counted(n, "pair")}.`),
          ` With so few, your true rate may lie anywhere from ${percent(low)} to ${percent(high)} (95% interval).`,
        );
        nodes.push(this.bars(n, ["You", agreed, low, high], ["A tossed coin", n / 2], ["She herself", herself]));
        say(
          `A tossed coin would agree with her taste on about ${number(n / 2)} of ${n}. She herself wavers where two `,
          `stories are close: new labels of hers would agree with her own taste on about ${number(herself)} of ${n}.`,
        );
      }
      const more = counted(ties, n ? "more pair" : "pair");
      if (ties) say(`On ${more} both stories are worth the same to her: there is nothing to agree on.`);
      if (second.size) say(`You agree with yourself on ${same} of ${counted(second.size, "repeated pair")}.`);
      say(`You chose the story on the left in ${left} of ${counted(this.answers.length, "question")}.`);
      if (this.done()) nodes.push(this.table(first, second));
      else say("Once you have answered all, you see what she heard in each story.");
      return nodes;
    }

    // A bar for each row, [name, how many of `n`, and perhaps an interval]; the numbers stand beside them.
    bars(n, ...rows) {
      const lines = rows.map(([name, count, low, high]) => {
        const bar = make("span", { style: `width: ${(100 * count) / n}%` });
        const track = make("span", { className: "lb-track" }, bar);
        if (high) track.append(make("i", { style: `left: ${100 * low}%; width: ${100 * (high - low)}%` }));
        return make("p", {}, make("span", {}, name), track, make("span", {}, `${number(count)} of ${n}`));
      });
      return make("div", { className: "lb-bars" }, ...lines);
    }

    table(first, second) {
      const caption = "What she heard in each story, in nats, and how often she would name the one she prefers.";
      const sides = " A stood on the left when the pair first came. Where it came twice, you see both your labels.";
      const names = ["Pair", "You", "She", "In A", "In B"];
      const rows = this.data.pairs.map(({ heard, prefers }, pair) => {
        const yours = [first, second].filter((labels) => labels.has(pair)).map((labels) => "AB"[labels.get(pair)]);
        const hers = `${"AB"[Number(prefers < 0.5)]}, ${percent(Math.max(prefers, 1 - prefers))}`;
        const cells = [yours.join(", "), prefers === 0.5 ? "either" : hers, ...heard.map(inWords)];
        const head = make("th", { scope: "row" }, pair + 1);
        return make("tr", {}, head, ...cells.map((words, i) => make("td", { "data-name": names[i + 1] }, words)));
      });
      const head = make("thead", {}, make("tr", {}, ...names.map((name) => make("th", { scope: "col" }, name))));
      return make("table", {}, make("caption", {}, caption, sides), head, make("tbody", {}, ...rows));
    }
  }

  const render = ({ model, el }) => {
    const root = make("div", { className: "textgen-label", "data-lm-suppress-shortcuts": "true" }); // JupyterLab's keys
    el.append(root);
    new Labelling(root, model.get("data"), model.get("answers"), (answers) => {
      model.set("answers", answers);
      model.save_changes();
    });
  };

  globalThis.textgenLabel = { render };
  for (const script of document.querySelectorAll(".textgen-label > script")) {
    new Labelling(script.parentNode, JSON.parse(script.textContent));
  }
}
