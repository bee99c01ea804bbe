// GPT-2 in plain JavaScript: from the file of its weights to the text it writes. It imports nothing: a page of the
// book loads it as a script, a notebook as a module. The names are those of gpt.py, tokenizer.py and sample.py, and
// tests hold the two languages together: the same tokens, logits and attention, and from one seed the same text.

// ---- Weights: a safetensors file is the length of its header, the header in JSON, and then all numbers in a row.

export function readSafetensors(bytes) {
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
  const { __metadata__: metadata, ...entries } = header;

  function numbers(name) {
    const [from, to] = entries[name].data_offsets;
    const raw = bytes.slice(8 + length + from, 8 + length + to).buffer; // a copy begins where a float may
    if (entries[name].dtype === "F32") return new Float32Array(raw);
    const floats = new Float32Array(raw.byteLength);
    const whole = new Int8Array(raw); // whole numbers from -127 to 127, and a scale for each row
    const scales = numbers(`${name}.scale`);
    const width = whole.length / scales.length;
    for (let i = 0; i < whole.length; i++) floats[i] = whole[i] * scales[Math.floor(i / width)];
    return floats;
  }
  const names = Object.keys(entries).filter((name) => !name.endsWith(".scale"));
  return { metadata, tensors: Object.fromEntries(names.map((name) => [name, numbers(name)])) };
}

// ---- Text to tokens and back: byte-level byte-pair encoding, out of Hugging Face's tokenizer.json.

// A vocabulary is written in characters that print. So a byte that does not print stands as one from U+0100 on.
const CHARACTERS = [];
for (let byte = 0, others = 0; byte < 256; byte++) {
  const prints = (byte > 32 && byte < 127) || (byte > 160 && byte !== 173);
  CHARACTERS.push(String.fromCharCode(prints ? byte : 256 + others++));
}
const BYTES = new Map(CHARACTERS.map((character, byte) => [character, byte]));

// No token reaches beyond a word: letters, digits or marks with the space before them, an ending, or white space.
const SPACE = "\\p{White_Space}";
const ENDING = "'s|'t|'re|'ve|'m|'ll|'d";
const LETTERS_DIGITS_MARKS = ` ?\\p{L}+| ?\\p{N}+| ?[^${SPACE}\\p{L}\\p{N}]+`;
const WORD = new RegExp(`${ENDING}|${LETTERS_DIGITS_MARKS}|${SPACE}+(?![^${SPACE}])|${SPACE}+`, "gu");

export class Tokenizer {
  constructor({ model, added_tokens }) {
    const ids = new Map(Object.entries(model.vocab));
    this.vocabulary = [];
    for (const [piece, id] of ids) this.vocabulary[id] = piece;
    this.special = new Map(added_tokens.map(({ content, id }) => [content, id]));
    for (const [content, id] of this.special) this.vocabulary[id] = content;
    const names = [...this.special.keys()].sort((a, b) => b.length - a.length); // the longest that fits
    this.boundary = new RegExp(`(${names.map((name) => name.replace(/[|\\{}()[\]^$+*?.]/g, "\\$&")).join("|")})`);
    this.ofByte = CHARACTERS.map((character) => ids.get(character));
    this.merges = new Map(); // a pair of ids, as one number -> which merge it is, the earlier the sooner
    model.merges.forEach(([left, right], rank) => {
      const pair = this.pair(ids.get(left), ids.get(right));
      this.merges.set(pair, { rank, pair, id: ids.get(left + right) });
    });
  }

  pair(left, right) {
    return left * this.vocabulary.length + right;
  }

  encode(text) {
    const ids = [];
    for (const part of text.split(this.boundary)) {
      if (this.special.has(part)) ids.push(this.special.get(part));
      else for (const [word] of part.matchAll(WORD)) for (const id of this.merge(word)) ids.push(id);
    }
    return ids;
  }

  // From single bytes, merge the pair that was merged first when the vocabulary was made, until none is left.
  merge(word) {
    let ids = Array.from(new TextEncoder().encode(word), (byte) => this.ofByte[byte]);
    for (;;) {
      let first = null;
      for (let i = 1; i < ids.length; i++) {
        const merge = this.merges.get(this.pair(ids[i - 1], ids[i]));
        if (merge && (!first || merge.rank < first.rank)) first = merge;
      }
      if (!first) return ids;
      const merged = [];
      for (let i = 0; i < ids.length; i++) {
        const found = i + 1 < ids.length && this.pair(ids[i], ids[i + 1]) === first.pair;
        merged.push(found ? first.id : ids[i]);
        if (found) i++;
      }
      ids = merged;
    }
  }

  // What each token adds to the text. One that ends within a character adds nothing; the next completes it.
  pieces(ids) {
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    return ids.map((id) => {
      const piece = this.vocabulary[id];
      if (this.special.has(piece)) return decoder.decode() + piece;
      return decoder.decode(Uint8Array.from(piece, (character) => BYTES.get(character)), { stream: true });
    });
  }

  decode(ids) {
    const written = ids.filter((id) => !this.special.has(this.vocabulary[id]));
    const bytes = written.flatMap((id) => Array.from(this.vocabulary[id], (character) => BYTES.get(character)));
    return new TextDecoder("utf-8", { ignoreBOM: true }).decode(Uint8Array.from(bytes));
  }
}

// ---- The model: one token at a time, its keys and values kept for the tokens to come. Each function writes into
// an array that is there already: a new one for each step would keep the garbage collector busier than the model.

// What the model computes with, for `size` numbers in all: arrays of its own, and a product of matrix and vector.
// fast.js puts the same in WebAssembly in its place.
function arithmetic(size) {
  return { room: (n) => new Float32Array(n), linear };
}

// y = weight @ x + bias; the rows of `weight` begin `stride` apart. Four rows at a time keep the processor busy.
function linear(y, weight, bias, x, stride = x.length) {
  const n = x.length;
  const whole = y.length - (y.length % 4);
  for (let row = 0; row < whole; row += 4) {
    const [a, b, c, d] = [row * stride, (row + 1) * stride, (row + 2) * stride, (row + 3) * stride];
    let [ya, yb, yc, yd] = [0, 0, 0, 0];
    for (let i = 0; i < n; i++) {
      ya += weight[a + i] * x[i];
      yb += weight[b + i] * x[i];
      yc += weight[c + i] * x[i];
      yd += weight[d + i] * x[i];
    }
    y[row] = ya;
    y[row + 1] = yb;
    y[row + 2] = yc;
    y[row + 3] = yd;
  }
  for (let row = whole; row < y.length; row++) {
    y[row] = 0;
    for (let i = 0; i < n; i++) y[row] += weight[row * stride + i] * x[i];
  }
  if (bias) for (let i = 0; i < y.length; i++) y[i] += bias[i];
  return y;
}

// y = x with mean 0 and variance 1, then stretched and moved by what was learned.
function norm(y, weight, bias, x) {
  const n = x.length;
  let mean = 0;
  for (let i = 0; i < n; i++) mean += x[i] / n;
  let variance = 0;
  for (let i = 0; i < n; i++) variance += (x[i] - mean) ** 2 / n;
  const scale = 1 / Math.sqrt(variance + 1e-5);
  for (let i = 0; i < n; i++) y[i] = (x[i] - mean) * scale * weight[i] + bias[i];
  return y;
}

// GPT-2's, x (1 + tanh(u)) / 2: the same as x / (1 + exp(-2u)), which is quicker.
function gelu(x) {
  const c = Math.sqrt(8 / Math.PI);
  for (let i = 0; i < x.length; i++) x[i] /= 1 + Math.exp(-c * (x[i] + 0.044715 * x[i] * x[i] * x[i]));
  return x;
}

export function softmax(x) {
  let highest = -Infinity;
  for (let i = 0; i < x.length; i++) highest = Math.max(highest, x[i]);
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += x[i] = Math.exp(x[i] - highest);
  for (let i = 0; i < x.length; i++) x[i] /= sum;
  return x;
}

export class GPT {
  constructor(bytes) {
    const { metadata, tensors } = readSafetensors(bytes);
    const { config, tokenizer } = JSON.parse(metadata.gpt);
    const { vocab_size, n_embd, n_layer } = config;
    const sizes = [n_embd, n_embd, n_embd, 3 * n_embd, 4 * n_embd, vocab_size];
    const all = [...sizes, ...Object.values(tensors).map((tensor) => tensor.length)];
    const { room, linear } = arithmetic(all.reduce((sum, size) => sum + size, 0));
    [this.x, this.y, this.z, this.qkv, this.mlp, this.out] = sizes.map(room);
    const moved = (name) => {
      const tensor = room(tensors[name].length);
      tensor.set(tensors[name]);
      return tensor;
    };
    const part = (name) => [moved(`${name}.weight`), moved(`${name}.bias`)];
    this.config = config;
    this.tokenizer = new Tokenizer(tokenizer);
    this.linear = linear;
    this.wte = moved("wte.weight"); // reads tokens, and writes them: tied
    this.wpe = moved("wpe.weight");
    this.ln_f = part("ln_f");
    this.layers = Array.from({ length: n_layer }, (_, layer) => ({
      ln_1: part(`h.${layer}.ln_1`),
      c_attn: part(`h.${layer}.attn.c_attn`),
      c_proj: part(`h.${layer}.attn.c_proj`),
      ln_2: part(`h.${layer}.ln_2`),
      mlp_fc: part(`h.${layer}.mlp.c_fc`),
      mlp_proj: part(`h.${layer}.mlp.c_proj`),
    }));
  }

  // What the model knows of a text: of each token read the keys and values for those to come, by layer and head.
  // Keys are a row for each token, (block_size, d_head); values a column, so that both meet their vector in `linear`.
  cache() {
    const { n_layer, n_head, n_embd, block_size } = this.config;
    const d_head = n_embd / n_head;
    const { room, linear } = arithmetic(2 * n_layer * n_embd * block_size + 2 * d_head + block_size);
    const heads = () => Array.from({ length: n_head }, () => room(block_size * d_head));
    const layers = () => Array.from({ length: n_layer }, heads);
    const [query, weights, y] = [d_head, block_size, d_head].map(room);
    return { ids: [], keys: layers(), values: layers(), hidden: [], attention: [], query, weights, y, linear };
  }

  // Read `ids`, at most a block of them, and return the logits of what follows. What the cache holds of them
  // already is not read again: one more token costs one step.
  next(cache, ids) {
    let same = 0;
    while (same < cache.ids.length && cache.ids[same] === ids[same]) same++;
    cache.ids.length = cache.hidden.length = cache.attention.length = same;
    for (const id of ids.slice(same)) this.step(cache, id);
    return this.logits(cache, ids.length - 1);
  }

  // The logits of what follows the token at `position`: how well each token's embedding fits what came out.
  logits(cache, position) {
    this.y.set(cache.hidden[position]);
    return new Float64Array(this.linear(this.out, this.wte, null, this.y));
  }

  step(cache, id) {
    const { n_layer, n_head, n_embd } = this.config;
    const { x, y, z, qkv, mlp, linear } = this;
    const t = cache.ids.length;
    const attention = new Float32Array(n_layer * n_head * (t + 1));
    for (let i = 0; i < n_embd; i++) x[i] = this.wte[id * n_embd + i] + this.wpe[t * n_embd + i];
    const add = () => {
      for (let i = 0; i < n_embd; i++) x[i] += z[i]; // each layer adds to the stream x
    };
    this.layers.forEach((layer, l) => {
      linear(qkv, ...layer.c_attn, norm(y, ...layer.ln_1, x));
      for (let head = 0; head < n_head; head++) {
        const at = head * cache.query.length;
        const weights = attend(cache, t, cache.keys[l][head], cache.values[l][head], qkv, at, n_embd);
        attention.set(weights, (l * n_head + head) * (t + 1));
        y.set(cache.y, at);
      }
      linear(z, ...layer.c_proj, y);
      add();
      linear(mlp, ...layer.mlp_fc, norm(y, ...layer.ln_2, x));
      linear(z, ...layer.mlp_proj, gelu(mlp));
      add();
    });
    cache.ids.push(id);
    cache.attention.push(attention); // (n_layer, n_head, t + 1)
    cache.hidden.push(norm(y, ...this.ln_f, x).slice());
  }
}

// A head compares its query with the keys of all tokens so far, and mixes their values by how well they fit.
function attend({ query, weights, y, linear }, t, keys, values, qkv, at, n_embd) {
  const d_head = query.length;
  const block_size = weights.length;
  for (let i = 0; i < d_head; i++) {
    query[i] = qkv[at + i] / Math.sqrt(d_head);
    keys[t * d_head + i] = qkv[n_embd + at + i];
    values[i * block_size + t] = qkv[2 * n_embd + at + i];
  }
  const reached = weights.subarray(0, Math.min(block_size, t + 16 - (t % 16))); // whole sixteens, for fast.js
  linear(reached, keys, null, query);
  const seen = softmax(weights.subarray(0, t + 1));
  reached.fill(0, t + 1); // what is not there yet weighs nothing
  linear(y, values, null, reached, block_size);
  return seen;
}

// ---- Drawing: temperature, top-k and top-p in Hugging Face's order, and a seed that means the same everywhere.

// The probabilities after all three; what they rule out has 0. Temperature 0 leaves the likeliest token alone.
export function filtered(logits, { temperature = 1, top_k = null, top_p = null } = {}) {
  const n = logits.length;
  const x = logits.slice();
  if (temperature === 0) {
    let best = 0;
    for (let i = 1; i < n; i++) if (x[i] > x[best]) best = i;
    x.fill(0)[best] = 1;
    return x;
  }
  for (let i = 0; i < n; i++) x[i] /= temperature;
  if (top_k !== null) {
    const last = kthLargest(x, Math.min(top_k, n)); // its equals all stay
    for (let i = 0; i < n; i++) if (x[i] < last) x[i] = -Infinity;
  }
  if (top_p !== null && top_p < 1) {
    const ordered = x.filter((logit) => logit > -Infinity).sort(); // the least likely first
    const p = softmax(ordered.slice());
    let out = 0; // so many go: together they hold at most 1 - top_p, and the likeliest always stays
    for (let sum = p[0]; out < p.length - 1 && sum <= 1 - top_p; sum += p[out]) out++;
    let ties = out - ordered.indexOf(ordered[out]); // of equals, the first in the vocabulary go
    for (let i = 0; i < n; i++) {
      if (x[i] < ordered[out] || (x[i] === ordered[out] && ties-- > 0)) x[i] = -Infinity;
    }
  }
  return softmax(x);
}

// The k-th largest of these numbers: the lowest of the k best, which are kept in order while passing through.
function kthLargest(x, k) {
  const best = new Float64Array(k).fill(-Infinity);
  for (let i = 0; i < x.length; i++) {
    if (x[i] <= best[0]) continue;
    let place = 0;
    for (; best[place + 1] < x[i]; place++) best[place] = best[place + 1];
    best[place] = x[i];
  }
  return best[0];
}

// The first token, in the order of the vocabulary, at which the summed probabilities exceed u.
export function draw(probabilities, u) {
  let total = 0;
  for (let i = 0; i < probabilities.length; i++) total += probabilities[i];
  let [id, sum] = [0, probabilities[0]];
  while (sum <= u * total) sum += probabilities[++id];
  return id;
}

// Uniform numbers in [0, 1) without end, by mulberry32.
export function uniforms(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

// Where the window starts when `n` tokens are to be read: past the block, the last half of it stays in sight.
export function slide(start, n, block_size) {
  return n - start > block_size ? n - Math.max(1, Math.floor(block_size / 2)) : start;
}

// What textgen.generate does in Python. A cache that is at hand may serve again.
export function generate(gpt, prompt, settings = {}, cache = gpt.cache()) {
  const { max_new_tokens = 60, seed = 0, stop = true } = settings;
  const end = gpt.tokenizer.special.get("<|endoftext|>"); // it also starts each text
  const ids = [end, ...gpt.tokenizer.encode(prompt)];
  const given = ids.length;
  const uniform = uniforms(seed);
  for (let start = 0; ids.length < given + max_new_tokens; ) {
    start = slide(start, ids.length, gpt.config.block_size);
    const id = draw(filtered(gpt.next(cache, ids.slice(start)), settings), uniform());
    if (stop && id === end) break;
    ids.push(id);
  }
  return prompt + gpt.tokenizer.decode(ids.slice(given));
}
