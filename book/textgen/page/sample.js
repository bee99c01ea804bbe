// Sampling, as in sample.py: temperature, top-k and top-p in Hugging Face's order, then a token drawn with a number
// that depends on the seed alone, so that one seed writes the same text in both languages. It needs gpt.js before it.

const COLDEST = 1e-6; // a temperature below it leaves the likeliest token alone, as 0 does
const DAMAGED = "The model's logits are not finite numbers; its weights are damaged or diverged.";

// The probabilities after all three, 0 for what they rule out.
export function filtered(logits, { temperature = 1, top_k = null, top_p = null } = {}) {
  const n = logits.length;
  const x = logits.slice();
  let highest = -Infinity;
  for (let i = 0; i < n; i++) highest = Math.max(highest, x[i]); // NaN where one of them is
  if (!Number.isFinite(highest)) throw new Error(DAMAGED);
  if (temperature < COLDEST) {
    const best = x.indexOf(highest);
    x.fill(0)[best] = 1;
    return x;
  }
  for (let i = 0; i < n; i++) x[i] /= temperature;
  if (top_k !== null) {
    const last = kthLargest(x, Math.min(top_k, n)); // all equal to it stay
    for (let i = 0; i < n; i++) if (x[i] < last) x[i] = -Infinity;
  }
  if (top_p !== null && top_p < 1) {
    const ordered = x.filter((logit) => logit > -Infinity).sort(); // the least likely first
    const p = softmax(ordered.slice());
    let out = 0; // how many go: they hold at most 1 - top_p together, and the likeliest always stays
    for (let sum = p[0]; out < p.length - 1 && sum <= 1 - top_p; sum += p[out]) out++;
    let ties = out - ordered.indexOf(ordered[out]); // among equals, the first in the vocabulary go
    for (let i = 0; i < n; i++) {
      if (x[i] < ordered[out] || (x[i] === ordered[out] && ties-- > 0)) x[i] = -Infinity;
    }
  }
  return softmax(x);
}

// The k-th largest of these numbers, in one pass that keeps the k largest so far in ascending order.
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

// Uniform numbers in [0, 1) without end, by mulberry32. Each row of a call has a stream of its own, row 0 the seed's.
export function uniforms(seed, row = 0) {
  let x = Math.imul(row, 2 * (seed >>> 0) + 1); // then the finalizer of MurmurHash3, which leaves 0 as it is
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  let state = (seed ^ x ^ (x >>> 16)) >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

// Where the window starts when `n` tokens are to be read: past block_size, the model keeps the last half of it.
export function slide(start, n, block_size) {
  return n - start > block_size ? n - Math.max(1, Math.floor(block_size / 2)) : start;
}

// textgen.generate in JavaScript, for the prompt at place `row` of a list. A cache of an earlier text may be reused.
export function generate(gpt, prompt, settings = {}, cache = gpt.cache()) {
  const { max_new_tokens = 60, seed = 0, row = 0, stop = true } = settings;
  const end = gpt.tokenizer.special.get("<|endoftext|>"); // it also starts each text
  const ids = [end, ...gpt.tokenizer.encode(prompt)];
  const given = ids.length;
  const uniform = uniforms(seed, row);
  for (let start = 0; ids.length < given + max_new_tokens; ) {
    start = slide(start, ids.length, gpt.config.block_size);
    const id = draw(filtered(gpt.next(cache, ids.slice(start)), settings), uniform());
    if (stop && id === end) break;
    ids.push(id);
  }
  return prompt + gpt.tokenizer.decode(ids.slice(given));
}
