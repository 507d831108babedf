// Names out of a trace that nobody vouches for: nothing of them runs, and nothing of the page breaks.
import { assert, main, open, writePage } from "./lib.mjs";
import { small, smallDiff } from "./made_data.mjs";

const MARKUP = '</script></title><script>globalThis.ran = 1</script><img src=x onerror="globalThis.ran=1"><!--<script>';
const BIDI = "\u202egnp.exe\u2066\u2028\u200b\ud800 &lt;b&gt; {{7*7}} ${globalThis.ran=1}";
const LONG = "x".repeat(1 << 20);
const FORMULA = '=cmd|"/c calc"!A1';

async function noneRan(page, problems) {
  assert.equal(await page.evaluate(() => globalThis.ran), undefined);
  assert.deepEqual(problems, []);
  await page.close();
}

async function walkThrough(page) {
  const rows = page.locator("table.sites tr[data-site]");
  await rows.first().locator("button.call").click();
  for (const summary of await page.locator("details.as-table summary").all()) await summary.click();
  await page.locator(".timeline .u-over").hover();
  await page.locator("canvas.icicle").hover({ position: { x: 100, y: 60 } });
  await page.getByRole("button", { name: "By what reserved" }).click();
  await page.locator("canvas.icicle").click({ position: { x: 20, y: 30 } });
}

await main({
  async "markup in names is text"() {
    const { page, problems } = await open(writePage("markup.html", small({ hostile: (text) => MARKUP + text })));
    assert.ok((await page.locator("table.sites").innerText()).includes("<script>globalThis.ran"));
    await walkThrough(page);
    assert.equal(await page.locator("img").count(), 0);
    assert.equal(await page.locator("script").count(), 0); // the page's own elements are gone too
    await noneRan(page, problems);
  },

  async "what turns text round or hides it is shown as its code"() {
    const { page, problems } = await open(writePage("bidi.html", small({ hostile: (text) => text + BIDI })));
    await walkThrough(page);
    const text = await page.evaluate(() => document.body.textContent + document.title);
    assert.ok(!/[\u200b\u2028\u202e\u2066\ud800]/.test(text));
    assert.ok(text.includes("\\u{202e}gnp.exe"));
    await noneRan(page, problems);
  },

  async "a name of a million letters leaves the page as wide as the screen"() {
    const { page, problems } = await open(writePage("long.html", small({ hostile: (text) => text + LONG })));
    await walkThrough(page);
    assert.ok((await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)) <= 0);
    assert.ok((await page.evaluate(() => document.body.textContent.length)) < 100000);
    await noneRan(page, problems);
  },

  async "numbers at the edge, unknown ones and none"() {
    const data = small();
    const [{ report, data: view }] = data.views;
    const last = view.snapshots.at(-1);
    last.classes.reserved[0] = 2 ** 53 - 1;
    last.sites.reserved[1] = 2 ** 53 - 1;
    last.classes.swapped[0] = 2 ** 53 - 1;
    report.cgroup.limit_bytes = 2 ** 60;
    report.process.start_unix_ns = null;
    report.process.duration_ns = null;
    const { page, problems } = await open(writePage("edge.html", data));
    assert.match(await page.locator("tr[data-class=mmap]").innerText(), /8 PiB or more/);
    await walkThrough(page);
    await noneRan(page, problems);
  },

  async "a trace without a snapshot's worth of anything"() {
    const data = small();
    const [{ data: view }] = data.views;
    view.snapshots = view.snapshots.slice(0, 1);
    view.report_snapshot = 0;
    const [only] = view.snapshots;
    for (const column of Object.values(only.classes)) column.fill(0);
    for (const column of Object.values(only.sites)) column.length = 0;
    for (const column of Object.values(only.rest)) column.fill(0);
    only.rss = 0;
    view.class_line = { time_ns: [], committed: [] };
    view.timeline = { time_ns: [], rss: [] };
    const { page, problems } = await open(writePage("empty.html", data));
    assert.match(await page.locator("table.bars tr.total").innerText(), /0 B/);
    await noneRan(page, problems);
  },

  async "a moment whose call sites were left out says so"() {
    const data = small();
    const [first] = data.views[0].data.snapshots;
    first.has_sites = false;
    for (const column of Object.values(first.sites)) column.length = 0;
    const { page, problems } = await open(writePage("left_out.html", data), { hash: "#at=0" });
    assert.match(await page.locator("[role=status]").innerText(), /too many call sites/);
    await noneRan(page, problems);
  },

  async "any hash in the URL"() {
    for (const hash of ["#at=999999&class=nothing&zoom=99999999&site=77777&chart=odd&width=odd&sort=odd&q=%5B", "#zoom=0.1.2.3&chart=inverted", "#at=-1&site=x", "#%00&=&&&at=1e9", "#__proto__=1&constructor=2&class=__proto__"]) {
      const { page, problems } = await open(writePage("small.html", small()), { hash });
      await noneRan(page, problems);
    }
  },

  async "a name that begins like a formula is none in the CSV"() {
    const { page } = await open(writePage("formula.html", small({ hostile: () => FORMULA })));
    const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Download CSV" }).click()]);
    const chunks = [];
    for await (const chunk of await download.createReadStream()) chunks.push(chunk);
    const lines = Buffer.concat(chunks).toString("utf8").trimEnd().split("\r\n");
    assert.equal(lines.length, 5);
    for (const line of lines) for (const field of line.split(/,(?=(?:[^"]*"[^"]*")*[^"]*$)/)) assert.ok(!/^"?[=+\-@]/.test(field), field);
  },

  async "data that is damaged is told"() {
    const { page } = await open(writePage("damaged.html", '{"format":"vmtrace-view/9","views":[],"about":{}}'), { ready: "failed" });
    assert.match(await page.locator("[role=alert]").innerText(), /unknown format/);
  },

  async "the same in a comparison"() {
    const data = smallDiff();
    for (const { data: view } of data.views) view.strings = view.strings.map((text) => (text ? MARKUP + text : text));
    data.about.diff.headline = MARKUP;
    const { page, problems } = await open(writePage("diff_markup.html", data));
    await walkThrough(page);
    await noneRan(page, problems);
  },
});
