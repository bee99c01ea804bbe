// Where the model of the controls runs: in the browser, or in Python behind a notebook. Both engines offer the same:
// open(), then `end` and `vocabulary`; session(), encode(text), decode(ids), pieces(ids), next(session, ids) for the
// logits, look(session, ids) for the attention too. InBrowser answers at once, InPython with promises.

// In a notebook the text goes to Python too, which may run elsewhere.
const PRIVATE = globalThis.document?.currentScript ? " What you type stays there." : "";
const SCRIPT_URL = globalThis.document?.currentScript?.src; // undefined in a module, "" in a page that is one file

class InBrowser {
  constructor(load) {
    this.load = load;
  }

  async open() {
    this.gpt ??= await this.load();
    const { config, tokenizer } = this.gpt;
    this.end = tokenizer.special.get("<|endoftext|>");
    const word = (id) => (id in tokenizer.vocabulary ? this.pieces([id])[0] || "\ufffd" : "");
    this.vocabulary = Array.from({ length: config.vocab_size }, (_, id) => word(id));
  }

  session = () => this.gpt.cache();
  encode = (text) => this.gpt.tokenizer.encode(text);
  decode = (ids) => this.gpt.tokenizer.decode(ids);
  pieces = (ids) => this.gpt.tokenizer.pieces(ids);
  next = (cache, ids) => this.gpt.next(cache, ids);
  look = (cache, ids) => ({ logits: this.gpt.next(cache, ids), attention: cache.attention[ids.length - 1] });
}

const SILENCE = 4500; // milliseconds without an answer
const NO_ANSWER = "The kernel does not answer: run the cell again.";

class InPython {
  constructor(model) {
    Object.assign(this, { model, asked: 0, waiting: new Map(), whenSilent() {} });
    this.name = `${Math.random()} `; // all views of a widget hear all answers: this one's ids begin with its name
    model.on("msg:custom", ({ id, error, ...result }, buffers) => {
      const question = this.waiting.get(id);
      if (!this.waiting.delete(id)) return;
      this.heard();
      const floats = buffers.map((b) => new Float32Array(b.buffer.slice(b.byteOffset, b.byteOffset + b.byteLength)));
      if (error === undefined) question.resolve({ ...result, floats });
      else question.reject(new Error(error));
    });
  }

  ask(what, ...given) {
    const id = this.name + this.asked++;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      if (!this.timer) this.watch();
      try {
        this.model.send({ id, ask: what, with: given });
      } catch {
        this.waiting.delete(id);
        reject(new Error(NO_ANSWER)); // the notebook itself knows that its kernel is gone
      }
    });
  }

  // Say so where no answer comes for a while. A kernel that was busy answers after all, and that takes the words back.
  watch() {
    this.timer = setTimeout(() => {
      this.timer = undefined;
      this.whenSilent(NO_ANSWER);
    }, SILENCE);
  }

  heard() {
    clearTimeout(this.timer);
    this.timer = undefined;
    if (this.waiting.size) this.watch();
    this.whenSilent("");
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

// The models of a page by name, as promises: all its controls share them, those of another script too.
const models = (globalThis.textgenLoaded ??= new Map());

function loadModel(name) {
  if (!models.has(name)) {
    models.set(name, fetchModel(name));
    models.get(name).catch(() => models.delete(name)); // the next call tries again
  }
  return models.get(name);
}

// The weights come as a script, because file:// refuses fetch: it leaves base64 and a checksum. In a page that is one
// file, as textgen.share() writes it, that script is the end of the page.
async function fetchModel(name) {
  const file = SCRIPT_URL ? `The model's file ${name}.js` : "This page";
  const mend = SCRIPT_URL ? "reload the page, or build the book again" : "reload it, or get the file again";
  if (SCRIPT_URL) await addScript(name);
  else if (document.readyState === "loading") await new Promise((resolve) => addEventListener("load", resolve));
  const { crc32, base64 } = globalThis.textgenModels?.[name] ?? {};
  delete globalThis.textgenModels?.[name];
  try {
    const characters = atob(base64);
    const bytes = new Uint8Array(characters.length);
    for (let i = 0; i < bytes.length; i++) bytes[i] = characters.charCodeAt(i);
    if (checksum(bytes) === crc32) return new GPT(bytes, simd);
  } catch {} // not base64: altered too
  throw new Error(`${file} is truncated or altered: ${mend}.`);
}

async function addScript(name) {
  const script = make("script", { src: new URL(`live/${name}.js`, SCRIPT_URL).href });
  const loaded = new Promise((resolve) => {
    script.onload = () => resolve(true);
    script.onerror = () => resolve(false);
  });
  document.head.append(script);
  const arrived = await loaded;
  script.remove();
  if (!arrived) throw new Error(`The model did not arrive (${name}.js): check the connection, then try again.`);
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
