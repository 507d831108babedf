// Reads a report's export by speedscope's own program, as `speedscope FILE` does. Usage: speedscope.mjs VMTRACE SCRATCH TRACE
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";
import { assert, main, run, scratch, vmtrace } from "./lib.mjs";

const [, , , , trace] = process.argv;
const require = createRequire(import.meta.url);
const app = join(dirname(require.resolve("speedscope/package.json")), "dist/release/index.html");

function exportTrace() {
  const file = join(scratch, "report.speedscope.json");
  run(vmtrace, "report", trace, "--format", "speedscope", "-o", file);
  const source = readFileSync(file);
  const script = join(scratch, "report.js");
  writeFileSync(script, `speedscope.loadFileFromBase64("report.speedscope.json", "${source.toString("base64")}")`);
  return { script, profile: JSON.parse(source.toString("utf8")) };
}

await main({
  "speedscope shows the report's call sites": async () => {
    const { script, profile } = exportTrace();
    const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox", "--disable-dev-shm-usage", "--enable-unsafe-swiftshader"], timeout: 120000 });
    try {
      const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
      const problems = [];
      page.setDefaultTimeout(120000);
      page.on("pageerror", (error) => problems.push(`error: ${error.stack ?? error}`));
      page.on("dialog", (dialog) => (problems.push(`dialog: ${dialog.message()}`), dialog.dismiss()));
      await page.goto(`${pathToFileURL(app).href}#localProfilePath=${script}`);
      await page.getByText("Sandwich").click();
      await page.getByText("committed_space").first().waitFor();
      // Its lists show the rows that are in sight, and are drawn anew as they grow: each row is waited for.
      const row = async (name) => {
        const found = page.locator("tr", { hasText: name }).first();
        await found.waitFor();
        return found.innerText();
      };
      assert.match(await row("arena_grow"), /64(\.00)? ?MB/);
      assert.match(await row("[malloc retained]"), /MB/);
      const { frames } = profile.shared;
      assert.ok(frames.some((frame) => frame.name === "arena_grow" && frame.file.endsWith("/cache_demo.c") && frame.line > 0));
      assert.deepEqual(problems, []);
    } finally {
      await browser.close();
    }
  },
});
