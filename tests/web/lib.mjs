// Opens pages in Debian's Chromium, and notes all that a report must not do: a request, an error.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";
import { chromium } from "playwright-core";

const require = createRequire(import.meta.url);
const [, , vmtrace, scratch] = process.argv;

export { assert, scratch, vmtrace };

const bundle = (name) => readFileSync(new URL(`../../tools/page/bundle/${name}`, import.meta.url), "utf8");

// A page with data of the test's own, as vmt_html_write (tools/page/html.c) makes it.
export function writePage(name, data) {
  const file = join(scratch, name);
  const payload = gzipSync(typeof data === "string" ? data : JSON.stringify(data)).toString("base64");
  writeFileSync(
    file,
    `<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<meta http-equiv="Content-Security-Policy" content="${bundle("policy")}">\n` +
      `<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>vmtrace</title>\n<style>${bundle("page.css")}</style>\n</head>\n<body>\n` +
      `<script type="application/octet-stream" id="vmtrace-data">\n${payload}\n</script>\n<script>${bundle("page.js")}</script>\n</body>\n</html>\n`,
  );
  return file;
}

export function run(...command) {
  return execFileSync(command[0], command.slice(1), { stdio: ["ignore", "pipe", "pipe"], encoding: "utf8", maxBuffer: 1 << 30 });
}

let browser = null;
let context = null;

// A page of its own in the one context: a further context is a further process, which takes a second of the CPU.
// A report's page stores nothing in its browser that another could find.
export async function open(file, { dark = false, width = 1280, height = 900, hash = "", ready = "yes" } = {}) {
  browser ??= await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox", "--disable-dev-shm-usage"], timeout: 120000 });
  context ??= await browser.newContext({ acceptDownloads: true });
  const page = await context.newPage();
  await page.setViewportSize({ width, height });
  await page.emulateMedia({ colorScheme: dark ? "dark" : "light" });
  const problems = [];
  const url = pathToFileURL(file).href;
  page.setDefaultTimeout(120000);
  page.on("console", (message) => problems.push(`console ${message.type()}: ${message.text()}`));
  page.on("pageerror", (error) => problems.push(`error: ${error.stack ?? error}`));
  page.on("dialog", (dialog) => (problems.push(`dialog: ${dialog.message()}`), dialog.dismiss()));
  page.on("request", (request) => request.url().split("#")[0] !== url && !request.url().startsWith("blob:null/") && !request.url().startsWith("blob:file:") && problems.push(`request: ${request.url()}`));
  await page.goto(url + hash);
  await page.waitForSelector(`html[data-ready=${ready}]`);
  return { page, problems };
}

const PARTS = { all: {}, colors: { runOnly: ["color-contrast"] }, structure: { rules: { "color-contrast": { enabled: false } } } };

// parts: "colors" asks only whether text can be told from what is behind it, which takes most of the time; "structure"
// asks the rest.
export async function axe(page, what, { parts = "all" } = {}) {
  await page.evaluate(readFileSync(require.resolve("axe-core/axe.min.js"), "utf8"));
  const options = { resultTypes: ["violations"], ...PARTS[parts] };
  const { violations } = await page.evaluate((wanted) => globalThis.axe.run(document, wanted), options);
  const found = violations.map((v) => `${v.id} (${v.impact}): ${v.help}\n    ${v.nodes.slice(0, 4).map((node) => `${node.html.slice(0, 200)} ${node.any?.[0]?.message ?? ""}`).join("\n    ")}`);
  assert.deepEqual(found, [], `axe-core, ${what}:\n${found.join("\n")}`);
}

// Runs a test's parts; the first that fails ends it with status 1.
export async function main(parts) {
  try {
    for (const [name, part] of Object.entries(parts)) {
      await part();
      console.log(`ok: ${name}`);
    }
  } catch (error) {
    console.error(error.stack ?? error);
    process.exitCode = 1;
  } finally {
    await browser?.close();
  }
}
