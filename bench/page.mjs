// How fast is the page of a report of 100,000 stacks? Usage: node bench/page.mjs [ROUNDS]. Prints
// medians: from the start of loading to the finished page; a draw of all views at another moment; a
// search to its shown rows. What they should stay below stands beside them.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const scratch = mkdtempSync(join(tmpdir(), "vmtrace-page-"));
const rounds = Number(process.argv[2] ?? 5);
process.argv.splice(2, process.argv.length, "", scratch);
const { open, writePage } = await import("../tests/web/lib.mjs");
const { large } = await import("../tests/web/made_data.mjs");

const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];
const file = writePage("large.html", large(100000));
const times = { "page load": [], "draw at another moment": [], search: [] };

// In the page: from a change of what is chosen to the end of the frame that shows it.
const timed = (page, hash) =>
  page.evaluate(async (next) => {
    const began = performance.now();
    location.hash = next;
    dispatchEvent(new Event("hashchange"));
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    return performance.now() - began;
  }, hash);

for (let i = 0; i < rounds; i++) {
  const { page, context } = await open(file);
  times["page load"].push(await page.evaluate(() => performance.getEntriesByName("ready")[0].startTime));
  times["draw at another moment"].push(await timed(page, "#at=1"));
  times.search.push(await timed(page, "#at=1&q=handler_123"));
  await context.close();
}
const bounds = { "page load": 2000, "draw at another moment": 100, search: 50 };
for (const [name, values] of Object.entries(times)) console.log(`${name.padEnd(24)} ${median(values).toFixed(0).padStart(6)} ms   (${bounds[name]} ms)`);
rmSync(scratch, { recursive: true });
process.exit(0);
