// GPT-2 in plain JavaScript: from the file of its weights and a text to the logits of the next token. It needs no other
// file; sample.js draws the next token, and simd.js makes the model faster. The names are those of gpt.py and
// tokenizer.py, and tests hold the two languages together: the same tokens, logits and attention.

// ---- Weights: a safetensors file is the length of its header, the header in JSON, and then all numbers in a row.

export function readSafetensors(bytes) {
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
  const { __metadata__: metadata, ...entries } = header;

  function read(name) {
    const [from, to] = entries[name].data_offsets;
    const raw = bytes.slice(8 + length + from, 8 + length + to).buffer; // a copy: floats must be aligned to 4 bytes
    if (entries[name].dtype === "F32") return new Float32Array(raw);
    const floats = new Float32Array(raw.byteLength);
    const integers = new Int8Array(raw); // from -127 to 127, with one scale for each row
    const scales = read(`${name}.scale`);
    const width = integers.length / scales.length;
    for (let i = 0; i < integers.length; i++) floats[i] = integers[i] * scales[Math.floor(i / width)];
    return floats;
  }
  const names = Object.keys(entries).filter((name) => !name.endsWith(".scale"));
  return { metadata, tensors: Object.fromEntries(names.map((name) => [name, read(name)])) };
}

// ---- Text to tokens and back: byte-level byte-pair encoding, from Hugging Face's tokenizer.json.

// A vocabulary is written in printable characters: a byte that is not one is written as a character from U+0100 on.
const CHARACTERS = [];
for (let byte = 0, unprintable = 0; byte < 256; byte++) {
  const printable = (byte > 32 && byte < 127) || (byte > 160 && byte !== 173);
  CHARACTERS.push(String.fromCharCode(printable ? byte : 256 + unprintable++));
}
const BYTES = new Map(CHARACTERS.map((character, byte) => [character, byte]));

// No token reaches across two words: letters, digits or marks with the space before them, an ending, or white space.
const SPACE = "\\p{White_Space}";
const ENDING = "'s|'t|'re|'ve|'m|'ll|'d";
const LETTERS_DIGITS_MARKS = ` ?\\p{L}+| ?\\p{N}+| ?[^${SPACE}\\p{L}\\p{N}]+`;
const WORD = new RegExp(`${ENDING}|${LETTERS_DIGITS_MARKS}|${SPACE}+(?![^${SPACE}])|${SPACE}+`, "gu");

const HALF = "half of a character (a lone surrogate): leave it out, or write the whole character.";

export class Tokenizer {
  constructor({ model, added_tokens }) {
    const ids = new Map(Object.entries(model.vocab));
    this.vocabulary = [];
    for (const [piece, id] of ids) this.vocabulary[id] = piece;
    this.special = new Map(added_tokens.map(({ content, id }) => [content, id]));
    for (const [content, id] of this.special) this.vocabulary[id] = content;
    const names = [...this.special.keys()].sort((a, b) => b.length - a.length); // try the longest first
    this.boundary = new RegExp(`(${names.map((name) => name.replace(/[|\\{}()[\]^$+*?.]/g, "\\$&")).join("|")})`);
    this.byteIds = CHARACTERS.map((character) => ids.get(character));
    this.merges = new Map(); // a pair of ids, as one number -> its merge; a lower rank is merged first
    model.merges.forEach(([left, right], rank) => {
      const pair = this.pair(ids.get(left), ids.get(right));
      this.merges.set(pair, { rank, pair, id: ids.get(left + right) });
    });
  }

  pair(left, right) {
    return left * this.vocabulary.length + right;
  }

  encode(text) {
    const [half] = text.match(/\p{Surrogate}/u) ?? [];
    if (half) throw new Error(`text holds '\\u${half.charCodeAt().toString(16)}', ${HALF}`);
    const ids = [];
    for (const part of text.split(this.boundary)) {
      if (this.special.has(part)) ids.push(this.special.get(part));
      else for (const [word] of part.matchAll(WORD)) for (const id of this.merge(word)) ids.push(id);
    }
    return ids;
  }

  // Start from single bytes, and merge the pair of the lowest rank until there is none.
  merge(word) {
    let ids = Array.from(new TextEncoder().encode(word), (byte) => this.byteIds[byte]);
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

  // What each token adds to the text. A character split over several tokens is added by the last of them; nothing is by
  // a token that the model has and the tokenizer has not.
  pieces(ids) {
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    return ids.map((id) => {
      const piece = this.vocabulary[id] ?? "";
      if (this.special.has(piece)) return decoder.decode() + piece;
      return decoder.decode(Uint8Array.from(piece, (character) => BYTES.get(character)), { stream: true });
    });
  }

  decode(ids) {
    const written = ids.filter((id) => !this.special.has(this.vocabulary[id]));
    const bytes = written.flatMap((id) => Array.from(this.vocabulary[id] ?? "", (character) => BYTES.get(character)));
    return new TextDecoder("utf-8", { ignoreBOM: true }).decode(Uint8Array.from(bytes));
  }
}

// ---- The model: one token at a time, with a cache of keys and values. Each function writes into an array that
// exists already: a new one for each step would keep the garbage collector busier than the model.

// What a model computes with: arrays, and the product of a matrix and a vector. simd.js has both in WebAssembly.
export const plain = () => ({ allocate: (n) => new Float32Array(n), linear });

// y = weight @ x + bias; the rows of `weight` begin `stride` apart. Four rows at a time use the processor better.
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

// y = x with mean 0 and variance 1, times the learned weight, plus the learned bias.
function layerNorm(y, weight, bias, x) {
  const n = x.length;
  let mean = 0;
  for (let i = 0; i < n; i++) mean += x[i] / n;
  let variance = 0;
  for (let i = 0; i < n; i++) variance += (x[i] - mean) ** 2 / n;
  const scale = 1 / Math.sqrt(variance + 1e-5);
  for (let i = 0; i < n; i++) y[i] = (x[i] - mean) * scale * weight[i] + bias[i];
  return y;
}

// GPT-2's version, x (1 + tanh(u)) / 2, written as x / (1 + exp(-2u)), which is quicker.
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

// `new GPT(bytes)` computes with `plain`, and `new GPT(bytes, simd)` with simd.js.
export class GPT {
  constructor(bytes, arithmetic = plain) {
    const { metadata, tensors } = readSafetensors(bytes);
    const { config, tokenizer } = JSON.parse(metadata.gpt);
    const { vocab_size, n_embd, n_layer } = config;
    const sizes = [n_embd, n_embd, n_embd, 3 * n_embd, 4 * n_embd, vocab_size];
    const all = [...sizes, ...Object.values(tensors).map((tensor) => tensor.length)];
    const { allocate, linear } = arithmetic(all.reduce((sum, size) => sum + size));
    [this.x, this.y, this.z, this.qkv, this.mlp, this.out] = sizes.map(allocate);
    const weight = (name) => {
      const tensor = allocate(tensors[name].length);
      tensor.set(tensors[name]);
      return tensor;
    };
    const part = (name) => [weight(`${name}.weight`), weight(`${name}.bias`)];
    Object.assign(this, { config, tokenizer: new Tokenizer(tokenizer), arithmetic, linear });
    this.wte = weight("wte.weight"); // token embeddings, and the output layer too: tied
    this.wpe = weight("wpe.weight");
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

  // The KV cache of one text: the keys and values of each token that was read, by layer and head. Keys are
  // (block_size, d_head), values (d_head, block_size), so that `linear` can multiply each by its vector.
  cache() {
    const { n_layer, n_head, n_embd, block_size } = this.config;
    const d_head = n_embd / n_head;
    const size = 2 * n_layer * n_embd * block_size + 2 * d_head + block_size;
    const { allocate, linear } = this.arithmetic(size);
    const heads = () => Array.from({ length: n_head }, () => allocate(block_size * d_head));
    const layers = () => Array.from({ length: n_layer }, heads);
    const [query, weights, y] = [d_head, block_size, d_head].map(allocate);
    return { ids: [], keys: layers(), values: layers(), hidden: [], attention: [], query, weights, y, linear };
  }

  // Read `ids`, at most block_size of them, and return the logits (vocab_size) of what follows. The tokens that the
  // cache holds already are not read again: one more token costs one step.
  next(cache, ids) {
    let same = 0;
    while (same < cache.ids.length && cache.ids[same] === ids[same]) same++;
    cache.ids.length = cache.hidden.length = cache.attention.length = same;
    for (const id of ids.slice(same)) this.step(cache, id);
    return this.logits(cache, ids.length - 1);
  }

  // The logits of what follows the token at `position`: its hidden vector times each token's embedding.
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
      for (let i = 0; i < n_embd; i++) x[i] += z[i]; // each part adds to the residual stream x
    };
    this.layers.forEach((layer, l) => {
      linear(qkv, ...layer.c_attn, layerNorm(y, ...layer.ln_1, x));
      for (let head = 0; head < n_head; head++) {
        const at = head * cache.query.length;
        const weights = attend(cache, t, cache.keys[l][head], cache.values[l][head], qkv, at, n_embd);
        attention.set(weights, (l * n_head + head) * (t + 1));
        y.set(cache.y, at);
      }
      linear(z, ...layer.c_proj, y);
      add();
      linear(mlp, ...layer.mlp_fc, layerNorm(y, ...layer.ln_2, x));
      linear(z, ...layer.mlp_proj, gelu(mlp));
      add();
    });
    cache.ids.push(id);
    cache.attention.push(attention); // (n_layer, n_head, t + 1)
    cache.hidden.push(layerNorm(y, ...this.ln_f, x).slice());
  }
}

// One head: compare the query with the keys of all tokens so far, and sum their values with these weights.
function attend({ query, weights, y, linear }, t, keys, values, qkv, at, n_embd) {
  const d_head = query.length;
  const block_size = weights.length;
  for (let i = 0; i < d_head; i++) {
    query[i] = qkv[at + i] / Math.sqrt(d_head);
    keys[t * d_head + i] = qkv[n_embd + at + i];
    values[i * block_size + t] = qkv[2 * n_embd + at + i];
  }
  const padded = weights.subarray(0, Math.min(block_size, t + 16 - (t % 16))); // a multiple of 16, for simd.js
  linear(padded, keys, null, query);
  const attention = softmax(weights.subarray(0, t + 1));
  padded.fill(0, t + 1); // later positions weigh nothing
  linear(y, values, null, padded, block_size);
  return attention;
}
