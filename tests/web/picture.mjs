// The picture of the page in the README: node tests/web/picture.mjs VMTRACE PICTURE.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { open, run, scratch as picture, vmtrace } from "./lib.mjs";

const directory = mkdtempSync(join(tmpdir(), "vmtrace-picture-"));
const trace = join(directory, "demo.vmt");
const file = join(directory, "demo.html");
run(vmtrace, "record", "-o", trace, "--", join(dirname(vmtrace), "tests/target/cache_demo"));
run(vmtrace, "report", "--format", "html", "-o", file, trace);
const { page } = await open(file, { width: 1080, height: 1130 });
await page.evaluate(() => scrollTo({ top: document.getElementById("headline").offsetTop - 20, behavior: "instant" }));
await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
await page.screenshot({ path: picture });
rmSync(directory, { recursive: true });
process.exit(0);
