// The call that a program would make for what the controls show: as JSON, and as lines of Python.

class Call {
  constructor() {
    this.json = make("pre");
    this.python = make("pre");
    this.node = make("details", {}, make("summary", {}, "The call as JSON"), this.json, this.python);
  }

  // Show the calls of these runs, of `length` tokens. `generated`: the texts are what Generate wrote, not the reader
  // token by token. A call has outputs where there are some: not after Start over, nor where a setting has moved under
  // a text that was written before this page was opened.
  async show(runs, data, length, generated) {
    const calls = [];
    let same = true;
    for (const [i, run] of runs.entries()) {
      const written = run.session && !generated ? run.ids.length - run.given : 0;
      const parameters = { max_new_tokens: written || length, ...run.settings };
      const saved = { max_new_tokens: data.max_new_tokens, ...(data.settings[i] ?? data.settings[0]) };
      calls.push({ inputs: run.prompt ?? data.prompt, parameters });
      if (!run.session && JSON.stringify(parameters) === JSON.stringify(saved)) {
        calls[i].outputs = [{ generated_text: data.texts[i] ?? data.texts[0] }];
      } else if (run.session && (generated || written || run.ended)) {
        calls[i].outputs = [{ generated_text: await run.written() }];
        same &&= run.reproducible();
      }
      if (run.chosen?.length) calls[i].chosen_by_hand = run.chosen;
      if (run.seconds) calls[i].seconds = Number(run.seconds.toFixed(3));
    }
    this.json.textContent = JSON.stringify(calls.length > 1 ? calls : calls[0], null, 2);
    const lines = calls.map(({ inputs, parameters }) => {
      const settings = Object.entries(parameters).map(([name, value]) => `${name}=${value ?? "None"}`);
      return `textgen.generate(model, tokenizer, ${JSON.stringify(inputs)}, ${settings.join(", ")})`;
    });
    const title = same ? "The same in Python" : "In Python, without what was changed or chosen on the way";
    this.python.textContent = `# ${title}\n${lines.join("\n")}`;
  }
}
