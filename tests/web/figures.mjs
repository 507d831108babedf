// The same figures in the text report, in JSON and in the page: each class, each call site, the sums.
import { assert, main, open, run, scratch, vmtrace } from "./lib.mjs";
import { bytes } from "../../tools/page/src/format.js";
import { dirname, join } from "node:path";

const target = (name) => join(dirname(vmtrace), "tests/target", name);

// Of a program: its trace, and the three forms of its report.
function reports(name, ...options) {
  const trace = join(scratch, `${name}.vmt`);
  const page = join(scratch, `${name}.html`);
  run(vmtrace, "record", ...options, "-o", trace, "--", target(name));
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

function siteKey(kind, frame, figures) {
  const name = frame ? (frame.function ?? `${frame.module.replace(/.*\//, "")}+${frame.module_offset}`) : "no stack";
  const place = frame?.file ? ` ${frame.file.replace(/.*\//, "")}${frame.line ? `:${frame.line}` : ""}` : "";
  return `${kind} ${name}${place} ${figures.join(" ")}`;
}

async function compare(name, ...options) {
  const { page: file, text, json } = reports(name, ...options);
  const { page, problems } = await open(file);

  // The first sentence, and the losses.
  const words = (value) => value.replace(/\s+/g, " ").trim();
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

  // Call sites: the same rows with the same figures.
  const shown = (await numbers(await everyRow(page))).map(([call, committed, reserved, , neverTouched, , released, calls]) => `${call} ${[committed, reserved, neverTouched, released].join(" ")} ${calls.replace(/[~, ]/g, "")}`);
  const expected = json.sites.map((site) => `${siteKey(site.kind, site.frames[0], [site.committed_bytes, site.reserved_bytes, site.never_touched_bytes, site.released_bytes])} ${site.count}`);
  assert.deepEqual(shown.sort(), expected.sort(), `${name}: call sites`);

  // The icicle's widest box is RSS too.
  await page.getByRole("button", { name: "Width: in RAM" }).click();
  await page.locator("canvas.icicle").focus();
  await page.keyboard.press("ArrowDown");
  assert.match(await page.locator("[aria-live]").innerText(), new RegExp(`^everything\\. ${bytes(json.snapshot.rss_bytes).replace(".", "\\.")} in RAM, 100 %`), name);
  assert.deepEqual(problems, []);
  await page.context().close();
}

await main({
  "a cache: one thread, arenas, malloc": () => compare("cache_demo"),
  "a heap that keeps freed memory": () => compare("retained"),
  "every block recorded": () => compare("malloc_sites", "--malloc", "all"),
  "stacks of threads": () => compare("cxx_threads"),
  "advice and what it gave back": () => compare("advice"),
});
