// The same figures in the text report, in JSON and in the page: each class, each call site, the sums.
import { assert, main, open, run, scratch, vmtrace } from "./lib.mjs";
import { bytes } from "../../tools/page/src/format.js";
import { dirname, join } from "node:path";

const target = (name) => join(dirname(vmtrace), "tests/target", name);

// A program may be killed, as a shell says it.
function record(...args) {
  try {
    run(vmtrace, "record", ...args);
  } catch (error) {
    if (error.status !== 137) throw error;
  }
}

// Of a program: its trace, and the three forms of its report.
function reports(name, command, ...options) {
  const trace = join(scratch, `${name}.vmt`);
  const page = join(scratch, `${name}.html`);
  record(...options, "-o", trace, "--", ...command);
  run(vmtrace, "report", "--format", "html", "-o", page, trace);
  return { page, text: run(vmtrace, "report", "--top", "1000", trace), json: JSON.parse(run(vmtrace, "report", "--format", "json", trace)) };
}

// The rows of the text's table of classes: name -> [reserved, committed], as written.
function textClasses(text) {
  const table = text.split("The whole address space\n")[1].split("\n\n")[0];
  return new Map([...table.matchAll(/^ {2}(\S.*?) {2,}([\d.]+ [KMGTPE]?i?B) +([\d.]+ [KMGTPE]?i?B)(?: |$)/gm)].map(([, name, reserved, committed]) => [name, [reserved, committed]]));
}

const numbers = (locator) => locator.evaluateAll((rows) => rows.map((row) => [row.dataset.class ?? row.querySelector("td.call-col button").innerText, ...[...row.querySelectorAll("td.num")].map((cell) => cell.querySelector("data")?.value ?? cell.innerText)]));

async function everyRow(page) {
  for (let more = page.locator(".rows-left button"); await more.isVisible(); ) await more.click();
  return page.locator("table.sites tr[data-site]");
}

// A frame as the page names it.
function frameName(frame) {
  const name = frame ? (frame.function ?? `${frame.module.replace(/.*\//, "")}+${frame.module_offset}`) : "no stack";
  const place = frame?.file ? ` ${frame.file.replace(/.*\//, "")}${frame.line ? `:${frame.line}` : ""}` : "";
  return `${name}${place}`;
}

const words = (value) => value.replace(/\s+/g, " ").trim();

// A section of the text report, from its title on; "" where it has none.
function textSection(text, title) {
  const at = text.indexOf(`\n\n${title}`);
  return at < 0 ? "" : text.slice(at + 2).split("\n\n")[0];
}

// A section of the page that has the text report's own words. Returns them.
async function sameSection(page, id, expected) {
  const section = page.locator(`#${id}`);
  assert.equal(await section.count(), expected ? 1 : 0, id);
  if (!expected) return "";
  const shown = words(`${await section.locator("h2").innerText()} ${await section.locator("pre").innerText()}`);
  assert.equal(shown, words(expected), id);
  return shown;
}

// What malloc's blocks and the pages they keep are said to be, against JSON.
async function compareBlocks(page, text, json) {
  const blocks = await sameSection(page, "blocks", textSection(text, "Blocks of malloc"));
  const live = json.sites.filter((site) => site.end_count !== null).reduce((sum, site) => sum + site.end_bytes, 0);
  if (blocks) assert.ok(blocks.includes(`${bytes(live)} in`), `${blocks}: ${live}`);
  const pins = Math.max(0, ...json.sites.map((site) => site.pins_bytes));
  if (pins >= 2 ** 20) assert.ok((await page.locator("#retained pre").innerText()).includes(bytes(pins)), `pinned: ${pins}`);
  return { blocks, pins };
}

// Of a process that was killed: what grew last.
async function compareGrowth() {
  const script = "import os, time\nunits = [bytearray(1 << 20) for i in range(4)]\ntime.sleep(0.3)\nheld = [bytearray(5 << 20) for i in range(12)]\nos.kill(os.getpid(), 9)";
  const { page: file, text, json } = reports("killed", ["/bin/sh", "-c", "exec /usr/bin/python3 -c \"$0\"", script], "--only", "python3");
  const { page, problems } = await open(file);
  const grew = await sameSection(page, "growth", textSection(text, "What grew"));
  const most = Math.max(...json.sites.map((site) => site.grown_bytes));
  assert.ok(most >= 5 * 2 ** 20 && grew.includes(bytes(most)), `${grew}: ${most}`);
  assert.deepEqual(problems, []);
  await page.close();
}

async function compare(name, ...options) {
  return compareOf(name, [target(name)], ...options);
}

async function compareOf(name, command, ...options) {
  const { page: file, text, json } = reports(name, command, ...options);
  const { page, problems } = await open(file);

  // The first sentence, and the losses.
  assert.ok(words(text).startsWith(words(await page.locator("#headline").innerText())), name);

  // Classes: page = JSON to the byte, page = text to the letter.
  const [[, , allCommitted], ...rows] = await numbers(page.locator("table.bars tbody tr"));
  assert.equal(Number(allCommitted), json.snapshot.rss_bytes, `${name}: RSS`);
  const have = json.classes.filter((row) => row.reserved_bytes || row.committed_bytes);
  assert.deepEqual(rows.map(([className]) => className).sort(), have.map((row) => row.name).sort(), name);
  const inText = textClasses(text);
  for (const [className, reserved, committed, , neverTouched] of rows) {
    const row = json.classes.find((one) => one.name === className);
    assert.deepEqual([Number(reserved), Number(committed)], [row.reserved_bytes, row.committed_bytes], `${name}: ${className}`);
    assert.equal(neverTouched === "–" ? 0 : Number(neverTouched), row.never_touched_bytes, `${name}: ${className}`);
    if (inText.has(className)) assert.deepEqual(inText.get(className), [bytes(Number(reserved)), bytes(Number(committed))], `${name}: ${className}`);
  }
  assert.ok(inText.size >= 3, `${name}: ${inText.size} classes in the text`);

  // Call sites: the same rows with the same figures. The text names each by the same frame.
  const shown = (await numbers(await everyRow(page))).map(([call, committed, reserved, , neverTouched, , released, calls]) => ({ call, figures: [committed, reserved, neverTouched, released, calls.replace(/[~, ]/g, "")].join(" ") }));
  const expected = json.sites.map((site) => ({ names: site.frames.length ? site.frames.map((frame) => `${site.kind} ${frameName(frame)}`) : [`${site.kind} no stack`], figures: [site.committed_bytes, site.reserved_bytes, site.never_touched_bytes, site.released_bytes, site.count].join(" ") }));
  assert.deepEqual(shown.map((row) => row.figures).sort(), expected.map((row) => row.figures).sort(), `${name}: call sites`);
  let passed = 0; // rows that are not named by the innermost frame
  for (const { call, figures } of shown) {
    assert.ok(expected.some((row) => row.figures === figures && row.names.includes(call)), `${name}: ${call}`);
    passed += expected.some((row) => row.figures === figures && row.names.indexOf(call) > 0);
    assert.ok(words(text).includes(call.replace("no stack", "(no stack)")), `${name}: the text has no row ${call}`);
  }

  // Advice over time adds up to advice over the run.
  const over = new Map();
  for (const { call, calls, taken_bytes: taken } of json.history.marks) over.set(call, [(over.get(call)?.[0] ?? 0) + calls, (over.get(call)?.[1] ?? 0) + taken]);
  const whole = new Map();
  for (const { advice, calls, taken_bytes: taken } of json.advice) if (calls) whole.set(advice, [(whole.get(advice)?.[0] ?? 0) + calls, (whole.get(advice)?.[1] ?? 0) + taken]);
  for (const [advice, sums] of whole) assert.deepEqual(over.get(advice), sums, `${name}: ${advice}`);

  // Sections in words. A process that exited has no growth to explain.
  const said = await compareBlocks(page, text, json);
  await sameSection(page, "growth", "");

  // The icicle's widest box is RSS too.
  await page.getByRole("button", { name: "Width: in RAM" }).click();
  await page.locator("canvas.icicle").focus();
  await page.keyboard.press("ArrowDown");
  assert.match(await page.locator("[aria-live]").innerText(), new RegExp(`^everything\\. ${bytes(json.snapshot.rss_bytes).replace(".", "\\.")} in RAM, 100 %`), name);
  assert.deepEqual(problems, []);
  await page.close();
  return { ...said, passed };
}

// What two traces differ by, in the words of the text.
async function compareTwo() {
  const traces = [["retained", ["frames"]], ["malloc_sites", []]].map(([name, words]) => {
    const trace = join(scratch, `two-${name}.vmt`);
    record("--malloc", "all", "-o", trace, "--", target(name), ...words);
    return trace;
  });
  const file = join(scratch, "two.html");
  run(vmtrace, "diff", "--format", "html", "-o", file, ...traces);
  const text = run(vmtrace, "diff", "--top", "50", ...traces);
  const { sites } = JSON.parse(run(vmtrace, "diff", "--format", "json", ...traces));
  const { page, problems } = await open(file);
  const blocks = await sameSection(page, "blocks", `${textSection(text, "Blocks of malloc")} ${textSection(text, "Temporary blocks")}`);
  const kept = sites.filter((site) => site.end_bytes).sort((a, b) => Math.abs(b.end_bytes.delta) - Math.abs(a.end_bytes.delta));
  const all = kept.reduce((sum, site) => sum + site.end_bytes.b, 0);
  assert.ok(kept.length >= 2 && blocks.includes(bytes(all)) && blocks.includes(bytes(kept[0].end_bytes.b)), blocks);
  await sameSection(page, "kernel", textSection(text, "What the kernel counts"));
  await sameSection(page, "untouched", textSection(text, "Not in RAM"));
  await sameSection(page, "touchers", textSection(text, "Committed by"));
  assert.ok((await page.locator("main > section").count()) >= 6);
  assert.deepEqual(problems, []);
  await page.close();
}

await main({
  "two traces: what they differ by beside call sites": compareTwo,
  "a cache: one thread, arenas, malloc": () => compare("cache_demo"),
  async "a heap that keeps freed memory"() {
    const { pins } = await compareOf("frames", [target("retained"), "frames"], "--malloc", "all");
    assert.ok(pins >= 2 ** 20, `pinned: ${pins}`);
  },
  async "every block recorded"() {
    const { blocks } = await compare("malloc_sites", "--malloc", "all");
    assert.match(blocks, /Live at the end of the trace: .* blocks/);
  },
  "killed: what grew last": compareGrowth,
  "a heap of samples": () => compare("retained"),
  async "stacks of threads, named by who decided"() {
    const { passed } = await compare("cxx_threads");
    assert.ok(passed > 0);
  },
  "advice and what it gave back": () => compare("advice"),
});
