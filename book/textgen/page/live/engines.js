// Where the model of the controls runs: in the browser, or in Python behind a notebook. Both engines offer the same:
// open(), then `end` and `vocabulary`; session(), encode(text), decode(ids), pieces(ids), next(session, ids) for the
// logits, look(session, ids) for the attention too. InBrowser answers at once, InPython with promises.

const SCRIPT_URL = globalThis.document?.currentScript?.src; // undefined in a module

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
    this.name = `${Math.random()} `; // all views of a widget hear all answers: this one's ids begin with its name
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

// The models of a page by name, as promises: all its controls share them.
const models = new Map();

function loadModel(name) {
  if (!models.has(name)) {
    models.set(name, fetchModel(name));
    models.get(name).catch(() => models.delete(name)); // the next call tries again
  }
  return models.get(name);
}

// The weights come as a script, because file:// refuses fetch: it leaves base64 and a checksum.
async function fetchModel(name) {
  const script = make("script", { src: new URL(`live/${name}.js`, SCRIPT_URL).href });
  const loaded = new Promise((resolve) => {
    script.onload = () => resolve(true);
    script.onerror = () => resolve(false);
  });
  document.head.append(script);
  const arrived = await loaded;
  script.remove();
  if (!arrived) throw new Error(`The model did not arrive (${name}.js): check the connection, then try again.`);
  const { crc32, base64 } = globalThis.textgenModels?.[name] ?? {};
  delete globalThis.textgenModels?.[name];
  try {
    const characters = atob(base64);
    const bytes = new Uint8Array(characters.length);
    for (let i = 0; i < bytes.length; i++) bytes[i] = characters.charCodeAt(i);
    if (checksum(bytes) === crc32) return new GPT(bytes, simd);
  } catch {} // not base64: altered too
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
