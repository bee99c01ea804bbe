// One setting and the text that it writes. Nothing here draws: panel.js shows a run. Where a `signal` is given, the
// method ends with its AbortError as soon as the reader has asked for something else.

class Run {
  constructor(engine, settings, block_size) {
    Object.assign(this, { engine, settings: { ...settings }, block_size: block_size ?? Infinity, ids: [] });
  }

  // Where the window begins when the model reads the first `n` tokens.
  windowStart(n) {
    let start = 0;
    for (let m = Math.min(n, this.given); m <= n; m++) start = slide(start, m, this.block_size);
    return start;
  }

  // Of the first `n` tokens those that the model reads.
  inWindow = (n) => this.ids.slice(this.windowStart(n), n);

  // Go to the end of the prompt. The session keeps what the model has read of it before.
  async begin(prompt, signal) {
    const ids = [this.engine.end, ...(await this.engine.encode(prompt))];
    signal.throwIfAborted();
    this.take(ids);
    this.prompt = prompt;
  }

  // Start from these tokens.
  take(ids) {
    this.session ??= this.engine.session();
    Object.assign(this, { ids, given: ids.length, start: 0, ended: false, chosen: [], seconds: undefined });
  }

  // Read the tokens that are new, and return the logits of what follows.
  read() {
    this.start = this.windowStart(this.ids.length);
    return this.engine.next(this.session, this.inWindow(this.ids.length));
  }

  // Draw a token; false when the text ends with it. The number to draw with depends on the seed and the token's place
  // in the text alone, whatever was chosen by hand before.
  async step(signal) {
    const logits = await this.read();
    signal.throwIfAborted();
    const place = this.ids.length - this.given;
    if (!place) this.began = JSON.stringify(this.settings);
    const uniform = uniforms(this.settings.seed);
    for (let i = 0; i < place; i++) uniform();
    this.logits = logits;
    this.append(draw(filtered(logits, this.settings), uniform()));
    return !this.ended;
  }

  append(id) {
    this.ended = id === this.engine.end;
    if (!this.ended) this.ids.push(id);
  }

  // Write up to `n` tokens, and call `show` on the way, at most every 40 ms. Returns the number of tokens and the
  // milliseconds to the first that was shown.
  async write(n, signal, show) {
    const from = this.ids.length;
    const started = performance.now();
    let [first, shown] = [null, 0];
    while (this.ids.length < from + n && (await this.step(signal))) {
      if (performance.now() - shown < 40) continue;
      first ??= performance.now() - started;
      show();
      await pause();
      signal.throwIfAborted();
      shown = performance.now();
    }
    this.seconds = (performance.now() - started) / 1000;
    return { tokens: this.ids.length - from, first };
  }

  // Put `token` after the one at `position` and drop what stood there. Returns how many tokens came after it.
  replace(position, token) {
    const rest = this.ids.length - position - 2;
    this.ids.length = position + 1;
    this.append(token);
    this.chosen = this.chosen.filter((choice) => choice.position <= position);
    this.chosen.push({ position: position + 1, token: this.engine.vocabulary[token] });
    return rest;
  }

  written = async () => this.prompt + (await this.engine.decode(this.ids.slice(this.given)));

  // Whether these settings alone wrote the text: none has moved on the way, and no token was chosen by hand.
  reproducible = () => !this.chosen.length && this.began === JSON.stringify(this.settings);
}
