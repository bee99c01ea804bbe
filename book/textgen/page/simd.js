// What a GPT computes with, in WebAssembly: `new GPT(bytes, simd)` is three times as fast as `new GPT(bytes)`. It needs
// gpt.js before it, and falls back on that where a browser has no SIMD or a size does not fit.

// f(y, weight, x, end, rows, stride): y = weight @ x, four rows and sixteen columns at a time. x goes from `x` to
// `end`, rows begin `stride` apart; all but `rows` are bytes of the one memory.
function assemble() {
  const [Y, WEIGHT, X, END, ROWS, STRIDE, AT] = [0, 1, 2, 3, 4, 5, 6]; // locals: six arguments, the place in x
  const ROW = [7, 8, 9, 10]; // the place in each of four rows
  const SUM = [11, 12, 13, 14]; // four sums of each, side by side
  const FOUR = 15; // four numbers of x
  const get = (local) => [0x20, local];
  const set = (local) => [0x21, local];
  const add = (local, value) => [...get(local), ...value, 0x6a, ...set(local)]; // i32.add
  const i32 = (n) => (n < 64 ? [0x41, n] : [0x41, (n & 127) | 128, n >> 7]); // i32.const
  const load = (local, offset) => [...get(local), 0xfd, 0x00, 2, offset]; // v128.load
  const lane = (k) => [0xfd, 0x1f, k]; // f32x4.extract_lane
  const loop = (body, condition) => [0x03, 0x40, ...body, ...condition, 0x0d, 0, 0x0b]; // do ... while
  const four = (f) => [0, 1, 2, 3].flatMap(f);

  const product = (k, offset) => [...load(ROW[k], offset), ...get(FOUR), 0xfd, 0xe6, 1]; // f32x4.mul
  const sum = (k, offset) => [...get(SUM[k]), ...product(k, offset), 0xfd, 0xe4, 1, ...set(SUM[k])]; // f32x4.add
  const columns = loop(
    [
      ...four((i) => [...load(AT, 16 * i), ...set(FOUR), ...four((k) => sum(k, 16 * i))]),
      ...four((k) => add(ROW[k], i32(64))),
      ...add(AT, i32(64)),
    ],
    [...get(AT), ...get(END), 0x49], // i32.lt_u
  );
  const part = (k, l) => [...get(SUM[k]), ...lane(l)];
  const total = (k) => [...part(k, 0), ...[1, 2, 3].flatMap((l) => [...part(k, l), 0x92])]; // f32.add
  const zero = [0xfd, 0x0c, ...Array(16).fill(0)]; // v128.const
  const rows = loop(
    [
      ...four((k) => [...get(WEIGHT), ...set(ROW[k]), ...add(WEIGHT, get(STRIDE)), ...zero, ...set(SUM[k])]),
      ...[...get(X), ...set(AT)],
      ...columns,
      ...four((k) => [...get(Y), ...total(k), 0x38, 2, 4 * k]), // f32.store
      ...add(Y, i32(16)),
      ...add(ROWS, [0x41, 0x7c]), // -4
    ],
    get(ROWS),
  );

  const withLength = (bytes) => [(bytes.length & 127) | 128, bytes.length >> 7, ...bytes]; // the length comes first
  const section = (id, ...bytes) => [id, ...withLength(bytes)];
  const code = [2, 5, 0x7f, 5, 0x7b, ...rows, 0x0b]; // five more i32, five v128
  return Uint8Array.of(
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0], // "\0asm", version 1
    ...section(1, 1, 0x60, 6, ...Array(6).fill(0x7f), 0), // a type: six i32 to nothing
    ...section(2, 1, 1, 0x6d, 1, 0x6d, 2, 0, 1), // import memory m.m, a page or more
    ...section(3, 1, 0),
    ...section(7, 1, 1, 0x66, 0, 0), // export the function as f
    ...section(10, 1, ...withLength(code)),
  );
}

// As `plain` of gpt.js, for arrays of `size` numbers in all, which lie in the memory of the WebAssembly.
export function simd(size) {
  try {
    const pages = Math.ceil((4 * size) / 65536) + 1;
    const memory = new WebAssembly.Memory({ initial: pages });
    const { f } = new WebAssembly.Instance(new WebAssembly.Module(assemble()), { m: { m: memory } }).exports;
    let used = 0;
    const allocate = (n) => {
      const array = new Float32Array(memory.buffer, used, n);
      used += 4 * n;
      return array;
    };
    const product = (y, weight, bias, x, stride = x.length) => {
      if (y.length % 4 || x.length % 16) return linear(y, weight, bias, x, stride);
      f(y.byteOffset, weight.byteOffset, x.byteOffset, x.byteOffset + 4 * x.length, y.length, 4 * stride);
      if (bias) for (let i = 0; i < y.length; i++) y[i] += bias[i];
      return y;
    };
    return { allocate, linear: product };
  } catch {
    return plain(); // this browser has no WebAssembly with SIMD
  }
}
