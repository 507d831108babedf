// A report of 100,000 stacks: how large is its page, and how much memory does a browser need for it?
import { statSync } from "node:fs";
import { assert, main, open, writePage } from "./lib.mjs";
import { large } from "./made_data.mjs";

const MIB = 2 ** 20;

await main({
  async "100,000 stacks take at most 150 MiB of the browser's heap"() {
    const file = writePage("large.html", large(100000));
    assert.ok(statSync(file).size <= 8 * MIB, `the page has ${statSync(file).size} bytes`);
    const { page, problems } = await open(file);
    const client = await page.context().newCDPSession(page);
    await client.send("HeapProfiler.enable");
    const most = { bytes: 0 };
    const measure = async () => {
      await client.send("HeapProfiler.collectGarbage");
      const { usedSize, backingStorageSize } = await client.send("Runtime.getHeapUsage");
      most.bytes = Math.max(most.bytes, usedSize + backingStorageSize);
    };
    await measure();
    assert.match(await page.locator("[role=status]").innerText(), /^100,000 call sites/);
    await page.getByRole("button", { name: "By what reserved" }).click();
    await measure();
    await page.locator("#search").fill("handler_123\\d");
    await page.waitForFunction(() => / of 100,000 call sites match/.test(document.querySelector("[role=status]").textContent));
    await page.locator("button.icon").first().click();
    await measure();
    const rows = page.locator("table.sites tr[data-site]");
    const shown = await rows.count();
    assert.ok(shown < 2000, `${shown} rows at once`);
    await page.locator(".rows-left button").scrollIntoViewIfNeeded();
    await page.waitForFunction((before) => document.querySelectorAll("table.sites tr[data-site]").length > before, shown);
    await measure();
    console.log(`heap: at most ${Math.round(most.bytes / MIB)} MiB after garbage collections`);
    assert.ok(most.bytes <= 150 * MIB, `${most.bytes} bytes of heap`);
    assert.deepEqual(problems, []);
  },
});
