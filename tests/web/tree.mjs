// The page of several traces: the figures of JSON, the sentence of the text, sorting, search, groups,
// keys, axe-core, no request; hostile names; very many processes.
import { assert, axe, main, open, run, scratch, vmtrace, writePage } from "./lib.mjs";
import { bytes } from "../../tools/page/src/format.js";
import { mkdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";

const target = (name) => join(dirname(vmtrace), "tests/target", name);
const words = (value) => value.replace(/\s+/g, " ").trim();
const KEYS = ["rss_bytes", "private_bytes", "shared_bytes", "proportional_bytes"];

// Anew where the collector found no time for any of the children: one trace alone has another page.
function record(tries = 5) {
  const directory = join(scratch, `tree${tries}`);
  mkdirSync(directory);
  run(vmtrace, "record", "-o", join(directory, "%n.%p.vmt"), "--", target("fork_own"), "4", "6000", "copied", "1500");
  const json = JSON.parse(run(vmtrace, "report", directory, "--format", "json"));
  if (json.traces.length < 2 && tries > 1) return record(tries - 1);
  const page = join(scratch, "tree.html");
  run(vmtrace, "report", directory, "--format", "html", "-o", page);
  return { directory, page, json, text: run(vmtrace, "report", directory) };
}

const rowsOf = (page) => page.locator("table.processes tbody tr").evaluateAll((rows) => rows.map((row) => ({ name: row.dataset.name, figures: [...row.querySelectorAll("td.num")].map((cell) => cell.querySelector("data")?.value ?? null) })));

// A list of the test's own, as the command writes it.
function made(count, name) {
  const traces = Array.from({ length: count }, (_, i) => ({ name: `${name(i)}.vmt`, pid: i + 2, parent_pid: 1, command: name(i), exe: "/bin/x", start_unix_ns: 0, peak_rss_bytes: 4096 * (i + 1), end: "exit", parent: null, origin: null, continued: null, tree: 0, group: 0, there: true, at: { time_ns: 1, rss_bytes: 4096 * (i + 1), private_bytes: i % 3 ? 4096 : null, shared_bytes: null, proportional_bytes: null, swap_bytes: 0 }, owner: null, inherited: [] }));
  const tree = { root: traces[0].name, traces: count, there: count, moment_ns: 5, moment_rss_bytes: 4096 };
  const group = { name: name(0), tree: 0, forked: true, traces: count, there: count, largest: traces[0].name, rss_bytes: 4096, private_bytes: null, least_private_bytes: null, most_private_bytes: null, proportional_bytes: null, peak_rss_bytes: 4096 };
  return { format: "vmtrace-tree/1", vmtrace: "test", left_out: 3, losses: [`and 1 unreadable, the first: ${name(0)}`], trees: [{ number: 0, title: `Tree of ${name(0)}`, sum: `About 1 MiB: ${name(0)}`, line: { time_ns: [0, 2], rss_bytes: [4096, 8192] } }], more_trees: 0, list: { schema: "vmtrace-list/1", directory: `/d/${name(0)}`, unreadable: 1, unreadable_why: null, passed_over: 0, ambiguous: 0, traces, trees: [tree], groups: [group] } };
}

await main({
  async "figures are those of JSON, words those of the text"() {
    const { page: file, json, text } = record();
    const { page, problems } = await open(file);
    const rows = await rowsOf(page);
    // The parent, and each child that the collector found time for: which ones is not up to us.
    assert.ok(json.traces.some((row) => row.parent === null) && rows.length === json.traces.length, `${rows.length} rows`);
    for (const row of json.traces) {
      const figures = [...KEYS.map((key) => row.at?.[key] ?? null), row.peak_rss_bytes].map((value) => (value === null ? null : String(value)));
      assert.deepEqual(rows.find(({ name }) => name === row.name).figures.slice(0, 5), figures, row.name);
    }
    const sum = words(await page.locator("#headline").innerText());
    assert.ok(sum.length > 20 && words(text).includes(sum), sum);
    if (json.trees[0].once_bytes !== null) assert.ok(sum.includes(bytes(json.trees[0].once_bytes)), sum);
    for (const group of json.groups.filter((one) => one.traces > 1)) assert.ok((await page.locator("table.groups").innerText()).includes(group.name));
    await axe(page, "a tree");
    assert.deepEqual(problems, []);
    await page.close();
  },

  async "a person sorts, searches, chooses a group, and comes back"() {
    const { page, problems } = await open(writePage("made.html", made(120, (i) => `worker ${i}`)));
    assert.equal((await rowsOf(page)).length, 50);
    assert.equal((await rowsOf(page))[0].name, "worker 119.vmt");
    await page.getByRole("button", { name: /^Peak/ }).click();
    await page.getByRole("button", { name: /^Peak/ }).click();
    assert.equal((await rowsOf(page))[0].name, "worker 0.vmt");
    await page.keyboard.press("/");
    await page.keyboard.type("worker 11\\d");
    assert.equal((await rowsOf(page)).length, 10);
    assert.match(await page.locator("#processes [role=status]").innerText(), /^10 of 120 processes/);
    await page.locator("input[type=search]").fill("(");
    assert.match(await page.locator("#processes [role=status]").innerText(), /not a regular expression/);
    await page.locator("input[type=search]").fill("");
    await page.locator("table.groups button").click();
    assert.match(await page.locator("#processes [role=status]").innerText(), /120 processes|group/);
    await page.getByRole("button", { name: "Show all processes" }).click();
    for (const more = page.getByRole("button", { name: /Show more/ }); await more.isVisible(); ) await more.click();
    assert.equal((await rowsOf(page)).length, 120);
    const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Download CSV" }).click()]);
    const csv = readFileSync(await download.path(), "utf8").trim().split("\r\n");
    assert.equal(csv.length, 121);
    assert.ok(csv[0].startsWith("rss_bytes,private_bytes,"), csv[0]);
    assert.match(await page.locator(".losses").innerText(), /3 processes are not in its table/);
    assert.deepEqual(problems, []);
    await page.close();
  },

  async "axe-core finds nothing, light, dark and narrow; nothing is wider than the screen"() {
    for (const dark of [false, true])
      for (const width of [1280, 360]) {
        const { page } = await open(writePage("axe.html", made(3, (i) => `p${i}`)), { dark, width });
        await axe(page, `${dark ? "dark" : "light"}, ${width}`, { colors: dark });
        assert.ok((await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)) <= 0, `${width}`);
        await page.close();
      }
  },

  async "names run nothing and hide nothing"() {
    const name = (i) => `</script><img src=x onerror=alert(${i})>\u202egnp.\u0007=1+1`;
    const { page, problems } = await open(writePage("hostile.html", made(2, name)));
    assert.equal(await page.locator("img").count(), 0);
    assert.ok(!(await page.locator("body").innerText()).includes("\u202e"));
    assert.deepEqual(problems, []);
    await page.close();
  },

  async "100,000 processes open"() {
    const file = writePage("many.html", made(100000, (i) => `postgres: backend ${i}`));
    const { page, problems } = await open(file);
    await page.locator("input[type=search]").fill("backend 99999");
    assert.equal((await rowsOf(page)).length, 1);
    assert.ok(statSync(file).size > 1000);
    assert.deepEqual(problems, []);
    await page.close();
  },
});
