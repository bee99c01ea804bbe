"""gpt.js beside transformers.js: one model, one browser, one run. README.md says how, and what came out.

.venv/bin/python bench/live/run.py
"""

import functools
import json
import os
import shutil
import statistics
import sys
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from playwright.sync_api import sync_playwright

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT / "book"), str(ROOT / "book/_ext")]
PROMPT, TOKENS, ROUNDS, WARM = "Once there was a brave fox named Ada.", 100, 9, 15
ARGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]

# What both pages offer: load(), and write(n, greedy) -> the text. `n` tokens, whatever comes: no stop at the end.
OURS = """<!doctype html><title>gpt.js</title><script type="module">
import { GPT, generate, simd } from "./gpt.js";
window.load = async () => { window.gpt = new GPT(new Uint8Array(await (await fetch("pocket-gpt.safetensors")).arrayBuffer()), simd); window.cache = gpt.cache(); };
window.write = (n, greedy) => generate(gpt, %s, { max_new_tokens: n, temperature: greedy ? 0 : 0.8, top_k: greedy ? null : 40, seed: 1, stop: false }, window.cache);
window.there = true;
</script>"""
THEIRS = """<!doctype html><title>transformers.js</title><script type="module">
import { pipeline, env } from "/node_modules/@huggingface/transformers/dist/transformers.min.js";
env.allowRemoteModels = false;
env.allowLocalModels = true;
env.localModelPath = "/dist/";
env.useBrowserCache = false; // the browser's own HTTP cache serves, as for the other page
env.backends.onnx.wasm.wasmPaths = "/node_modules/onnxruntime-web/dist/";
env.backends.onnx.wasm.numThreads = 1; // more need headers that a static host does not send
window.load = async () => { window.pipe = await pipeline("text-generation", "pocket-gpt", { device: "wasm", dtype: "%s" }); };
window.write = async (n, greedy) => (await pipe(%s, { max_new_tokens: n, eos_token_id: 9999, add_special_tokens: true, do_sample: !greedy, temperature: 0.8, top_k: greedy ? 0 : 40 }))[0].generated_text;
window.there = true;
</script>"""
FIRST = """async () => { const start = performance.now(); await load(); await write(1, true); return performance.now() - start; }"""
SECONDS = """async ([n, greedy]) => { const start = performance.now(); await write(n, greedy); return (performance.now() - start) / 1000; }"""
# In the control that readers see: from the click to the first token that a painted frame shows.
CLICK = """() => new Promise((done) => {
  const text = document.querySelector(".tl-text");
  const start = performance.now();
  const given = "start" + document.querySelector("textarea").value;
  const look = () => text.querySelector("[role=option]") && text.textContent.length > given.length
    ? done(performance.now() - start) : requestAnimationFrame(look);
  document.querySelector(".tl-go").click();
  requestAnimationFrame(look);
})"""


class Quiet(SimpleHTTPRequestHandler):
    """A static host whose files may be cached."""

    def end_headers(self):
        self.send_header("Cache-Control", "max-age=3600")
        super().end_headers()

    def log_message(self, *args):
        """Say nothing."""


def lay_out() -> None:
    """Write the pages beside the exported model."""
    import textgen
    import textgen_book
    from textgen.page import explore_widget, live_widget, pack

    site = HERE / "dist"
    model = textgen.load("pocket-gpt")
    os.environ[explore_widget.BOOK_BUILD] = "1"
    block = textgen.live(*model, PROMPT, max_new_tokens=TOKENS, temperature=0.8, seed=1).page()
    textgen_book.publish_models(site / "_static", {"pocket-gpt"})
    shutil.copy(live_widget.HERE / "live.css", site / "_static/live.css")
    (site / "gpt.js").write_text(live_widget.script(live_widget.MODEL))
    (site / "pocket-gpt.safetensors").write_bytes(pack.pack(*model))
    head = '<link rel="stylesheet" href="_static/live.css"><script src="_static/live.js" defer></script>'
    (site / "control.html").write_text(
        f'<!doctype html><html lang="en"><meta charset="utf-8">{head}<main>{block}</main></html>'
    )
    (site / "ours.html").write_text(OURS % json.dumps(PROMPT))
    for dtype in ("fp32", "q8"):
        (site / f"theirs-{dtype}.html").write_text(THEIRS % (dtype, json.dumps(PROMPT)))


def visit(context, url: str):
    """Open a page and count what its server sends; `page.sent` is in bytes."""
    page = context.new_page()
    page.set_default_timeout(120_000)
    page.sent = {}
    page.on(
        "response",
        lambda answer: page.sent.update({answer.url: int(answer.headers.get("content-length", 0))}),
    )
    page.on("pageerror", lambda error: print("error:", error))
    page.goto(url)
    return page


def cpu_seconds(browser) -> float:
    """Return the processor time that all pages have taken; unlike a clock it does not see a busy machine."""
    wire = browser.new_browser_cdp_session()
    processes = wire.send("SystemInfo.getProcessInfo")["processInfo"]
    wire.detach()
    return sum(process["cpuTime"] for process in processes if process["type"] == "renderer")


def speed(browser, page, greedy: bool) -> tuple[float, float]:
    """Return tokens a second, and tokens a second of processor time."""
    before = cpu_seconds(browser)
    seconds = page.evaluate(SECONDS, [TOKENS, greedy])
    return TOKENS / seconds, TOKENS / max(0.01, cpu_seconds(browser) - before)


def measure(browser, address: str) -> dict:
    """Return all figures by name."""
    figures = {}
    context = browser.new_context()
    control = visit(context, f"{address}/dist/control.html")
    control.evaluate(CLICK)
    figures["the control"] = {"bytes": sum(size for url, size in control.sent.items() if ".html" not in url)}
    clicks = []
    for _ in range(ROUNDS):
        control.reload()
        clicks.append(control.evaluate(CLICK))
    figures["the control"]["first token, ms"] = statistics.median(clicks)
    control.close()

    pages = {}
    for name, path in (
        ("gpt.js", "ours"),
        ("transformers.js, float32", "theirs-fp32"),
        ("transformers.js, int8", "theirs-q8"),
    ):
        page = pages[name] = visit(context, f"{address}/dist/{path}.html")
        page.wait_for_function("window.there")
        page.evaluate(FIRST)
        figures[name] = {"bytes": sum(size for url, size in page.sent.items() if ".html" not in url)}
        firsts = []
        for _ in range(3):
            page.reload()
            page.wait_for_function("window.there")
            firsts.append(page.evaluate(FIRST))
        figures[name]["first token, ms"] = statistics.median(firsts)
    for name, page in pages.items():
        figures[name]["tokens/s, first 100"] = speed(browser, page, True)[0]
        for _ in range(WARM):  # until the compilers of both have done what they can
            speed(browser, page, True)
            speed(browser, page, False)
    for slower in (1, 4):
        for page in pages.values():
            context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": slower})
        for way in ("greedy", "top-k 40"):
            speeds = {name: [] for name in pages}
            for _ in range(ROUNDS if slower == 1 else 3):
                for name, page in pages.items():  # in turns: whatever else the machine does, it does to all
                    page.bring_to_front()
                    speeds[name].append(speed(browser, page, way == "greedy"))
            for name, rates in speeds.items():
                figures[name][f"tokens/s, {way}" + ", throttled 4 times" * (slower > 1)] = statistics.median(
                    r for r, _ in rates
                )
                if slower == 1:
                    figures[name][f"tokens/CPU s, {way}"] = statistics.median(rate for _, rate in rates)
    texts = {name: page.evaluate(f"write({TOKENS}, true)") for name, page in pages.items()}
    print(json.dumps(texts, indent=1))
    figures["same greedy text"] = texts["gpt.js"] == texts["transformers.js, float32"]
    return figures


def main() -> None:
    """Measure, print a table, and keep the figures in results.json."""
    lay_out()
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(HERE)))
    Thread(target=server.serve_forever, daemon=True).start()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGS)
        figures = measure(browser, f"http://127.0.0.1:{server.server_port}")
        figures["browser"] = browser.version
        browser.close()
    figures["load average"] = os.getloadavg()[0]
    rows = [name for name, value in figures.items() if isinstance(value, dict)]
    columns = list(dict.fromkeys(key for name in rows for key in figures[name]))
    print("| | " + " | ".join(columns) + " |\n|" + " --- |" * (len(columns) + 1))
    for name in rows:
        print(
            f"| {name} | "
            + " | ".join(f"{figures[name][c]:,.0f}" if c in figures[name] else "" for c in columns)
            + " |"
        )
    for name, value in figures.items():
        if name not in rows:
            print(f"{name}: {value}")
    (HERE / "results.json").write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
