// The inputs of the four settings of sampling.

const TEMPERATURES = [...Array.from({ length: 31 }, (_, i) => i / 20), 1.75, 2, 2.5, 3, 4, 5];
const TOP_KS = [1, 2, 3, 5, 10, 20, 50, 100, 200, null];
const TOP_PS = [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, null];
const HIGHEST_SEED = 2 ** 32 - 1;

// The inputs of all four settings; `changed(name, value, words)` hears of every move, with words for a screen reader
// where the input does not speak itself.
function settingInputs(settings, changed) {
  const heard = (name) => (value, words) => changed(name, value, words);
  const temperature = (value) => (value === 0 ? "0, the likeliest" : String(value));
  const orOff = (value) => String(value ?? "off");
  return [
    slider("temperature", TEMPERATURES, settings.temperature, temperature, heard("temperature")),
    slider("top-k", TOP_KS, settings.top_k, orOff, heard("top_k")),
    slider("top-p", TOP_PS, settings.top_p, orOff, heard("top_p")),
    seedInput(settings.seed, heard("seed")),
  ];
}

function seedInput(seed, changed) {
  const limits = { type: "number", min: 0, max: HIGHEST_SEED, step: 1 };
  const input = make("input", { ...limits, value: seed, autocomplete: "off" });
  const another = make("button", { type: "button", "aria-label": "Another seed", title: "Another seed" }, "+1");
  const set = (value, speak = false) => {
    seed = Math.min(HIGHEST_SEED, Math.max(0, Math.trunc(value) || 0));
    changed(seed, speak ? `seed ${seed}` : "");
  };
  input.addEventListener("input", () => set(input.value));
  input.addEventListener("change", () => (input.value = seed)); // show what is used
  another.addEventListener("click", () => {
    set(seed + 1, true);
    input.value = seed;
  });
  return make("div", { className: "tl-setting tl-seed" }, make("label", {}, make("span", {}, "seed"), input), another);
}
