// The way of a person: class, site, moment, and back. Every view follows.
import { assert, main, open, writePage } from "./lib.mjs";
import { small } from "./made_data.mjs";

const rows = (page) => page.locator("table.sites tr[data-site]");
const text = (page, selector) => page.locator(selector).innerText();

// The colors of a range of malloc's, the strip's first, and of one of mmap's. Of a copy: a browser
// warns of reading a canvas that is drawn often.
function stripPixels() {
  const strip = document.querySelector("canvas.strip");
  const copy = Object.assign(document.createElement("canvas"), { width: strip.width, height: strip.height });
  const context = copy.getContext("2d", { willReadFrequently: true });
  context.drawImage(strip, 0, 0);
  return [4, 60].map((x) => [...context.getImageData(x, 30, 1, 1).data].join());
}

await main({
  async "opens from file://, without a request or an error"() {
    const { page, problems } = await open(writePage("small.html", small()));
    assert.match(await page.title(), /^app: vmtrace report$/);
    assert.match(await text(page, "#headline"), /RSS 477 MiB at 11 s/);
    assert.match(await text(page, ".losses"), /12 events were dropped/);
    assert.equal(await rows(page).count(), 4);
    assert.deepEqual(problems, []);
  },

  async "sections in the text report's words"() {
    const { page, problems } = await open(writePage("small.html", small()));
    assert.match(await text(page, "#go-shares"), /^RSS is 477 MiB; Go accounts for 7 MiB of it\.$/);
    assert.match(await text(page, "#go pre"), /^GOGC is 100: the next collection is due by 4 MiB\.$/);
    assert.match(await text(page, "#advice pre"), /^ +LazyFree: 3 MiB of RSS was given back/);
    assert.match(await text(page, "#basis li:nth-child(1)"), /^Figures are from snapshot 3 of 3, taken at 11 s; pages read by PAGEMAP_SCAN\.$/);
    assert.match(await text(page, "#basis li:nth-child(2)"), /malloc: none, the program is Go alone\.$/);
    assert.match(await text(page, "#growth h2"), /^What grew last, from 10 s on$/);
    assert.match(await text(page, "#growth pre"), /^ +90 MiB  malloc cache_add cache\.c:31\n +<- serve serve\.c:44$/);
    assert.match(await text(page, "#cgroup pre"), /highest usage seen 512 MiB at 10 s: .* 35 MiB tmpfs .*; RSS of this process then 477 MiB$/);
    assert.match(await text(page, "#retained pre"), /kept below or around live blocks of\n +3 MiB  malloc cache_add/);
    assert.match(await text(page, "#blocks pre"), /about 408 MiB in about 40,010 blocks/);
    assert.deepEqual(problems, []);
  },

  async "class, site, moment, back"() {
    const { page, problems } = await open(writePage("small.html", small()));
    await page.locator("table.bars tr[data-class='malloc live'] button").click();
    assert.equal(await rows(page).count(), 2);
    assert.equal(await page.locator("table.bars tr.chosen").count(), 1);
    await rows(page).first().locator("button.call").click();
    const detail = page.locator("tr.detail");
    assert.match(await detail.innerText(), /cache_add[\s\S]*serve[\s\S]*main[\s\S]*_start/);
    await detail.locator("table.history button").first().click();
    assert.match(await text(page, ".moment"), /^1 s/);
    assert.match(await rows(page).first().innerText(), /10 MiB/);
    assert.match(await text(page, "table.bars tr.total"), /31 MiB/);
    await page.goBack();
    assert.match(await text(page, ".moment"), /^11 s/);
    await page.goBack();
    assert.equal(await page.locator("tr.detail").count(), 0);
    await page.goBack();
    assert.equal(await rows(page).count(), 4);
    assert.deepEqual(problems, []);
  },

  async "the strip paints malloc's memory as such, whichever of its classes is chosen"() {
    const { page, problems } = await open(writePage("small.html", small()));
    const strip = page.locator("canvas.strip");
    const pixels = () => page.evaluate(stripPixels);
    assert.equal(await text(page, ".strip-legend"), "malloc: live blocks, and what it retains\nmmap\n4 KiB\n1 MiB\n1 GiB");
    const before = await pixels();
    await strip.click({ position: { x: 4, y: 20 } });
    assert.equal(await page.locator("table.bars tr.chosen").getAttribute("data-class"), "malloc live");
    assert.equal(await rows(page).count(), 2);
    while ((await pixels())[1] === before[1]) await page.evaluate(() => new Promise(requestAnimationFrame));
    assert.equal((await pixels())[0], before[0]);
    await strip.click({ position: { x: 4, y: 20 } });
    assert.equal(await page.locator("table.bars tr.chosen").count(), 0);
    assert.deepEqual(problems, []);
  },

  async "the strip knows whose call reserved a range"() {
    const { page, problems } = await open(writePage("small.html", small()));
    const strip = page.locator("canvas.strip");
    const before = await page.evaluate(stripPixels);
    await strip.hover({ position: { x: 60, y: 20 } });
    assert.equal(await text(page, ".tip"), "from 0x7f0000000000, 1 GiB\nmmap\nreserved by load_index index.c:7\nabout 38 % in RAM");
    await strip.click({ position: { x: 60, y: 20 } });
    assert.equal(await page.locator("tr.open").getAttribute("data-site"), "1");
    let after = before;
    while (after[0] === before[0]) after = await page.evaluate(stripPixels);
    assert.equal(after[1], before[1]);
    await page.getByText("The address space as a table").click();
    await page.locator("#space tbody tr").first().waitFor(); // it is filled when it has opened
    assert.deepEqual(await page.locator("#space tbody tr").allInnerTexts(), ["0x7f0000000000\t1 GiB\t38 %\tmmap\tload_index index.c:7"]);
    await page.locator("#space tbody button").click();
    assert.equal(await page.locator("tr.open").count(), 0);
    assert.deepEqual(await page.locator("#space tbody td:nth-child(4)").allInnerTexts(), ["malloc: live blocks, and what it retains", "mmap"]);
    assert.deepEqual(problems, []);
  },

  async "a row is named by the frame that decided"() {
    const data = small();
    data.views[0].data.sites.shown = [[1, 2], [], [], []];
    const { page, problems } = await open(writePage("shown.html", data));
    const row = page.locator("table.sites tr[data-site='0']");
    assert.match(await row.innerText(), /malloc serve serve\.c:44\s+← main main\.c:10\s+… 2 more/);
    assert.match(await page.locator("table.sites tr[data-site='1']").innerText(), /mmap load_index index\.c:7/);
    assert.match(await text(page, "#touchers"), /~ 400 MiB serve serve\.c:44/);
    assert.deepEqual(problems, []);
  },

  async "who touched stands on the samples whose pages are in RAM; what is left out is counted"() {
    const data = small();
    const [{ report, data: view }] = data.views;
    report.files = Array.from({ length: 503 }, (_, i) => ({ path: `/srv/file${i}`, reserved_bytes: 8192, committed_bytes: 4096 }));
    for (const column of Object.values(view.committers)) for (let i = 2; i < 205; i++) column.push(column[0]);
    const { page, problems } = await open(writePage("many.html", data));
    assert.equal(await page.locator("#files tbody tr").count(), 500);
    assert.equal(await text(page, "#files .rest"), "and 3 more: 12 KiB in RAM");
    assert.equal(await page.locator("#touchers tbody tr").count(), 200);
    assert.match(await text(page, "#touchers .rest"), /^and 5 more: .* in RAM$/);
    assert.deepEqual(await page.locator("#touchers tbody tr:nth-child(-n+2) td:nth-child(2)").allInnerTexts(), ["90", "1"]);
    assert.deepEqual(problems, []);
  },

  async "what gave memory back stands in the timeline, and all of it in a table"() {
    const { page, problems } = await open(writePage("small.html", small()));
    assert.match(await text(page, "#timeline .legend-row"), /▼\s*memory given back or freed\s+◆\s*other advice/);
    const over = page.locator(".timeline .u-over");
    const { x, y, width } = await over.boundingBox();
    const at = async (seconds) => (await page.mouse.move(x + width * (seconds / 12), y + 12), text(page, ".tip"));
    assert.equal(await at(5), "5 s: MADV_DONTNEED, 2 calls, 6 MiB given back, the largest by cache_trim cache.c:77");
    assert.equal(await at(6), "6 s: MADV_HUGEPAGE, 1 call, 2 MiB");
    assert.match(await at(7), /^at /); // 4 KiB of 477 MiB: in the table alone
    assert.equal(await at(8), "8 s: free, 4 calls, about 30 MiB was in RAM");
    await page.getByText("Advice and releases over time: 4").click();
    await page.locator("details.events tbody tr").first().waitFor(); // it is filled when it has opened
    assert.deepEqual(await page.locator("details.events tbody tr").allInnerTexts(), ["5 s\t5.01 s\tMADV_DONTNEED\t2\t8 MiB\t6 MiB\t6 MiB\tthe largest by cache_trim cache.c:77", "6 s\t6 s\tMADV_HUGEPAGE\t1\t2 MiB\t0 B\t0 B\t", "7 s\t7 s\tmunmap\t1\t4 KiB\t4 KiB\t4 KiB\t", "8 s\t8 s\tfree\t4\t40 MiB\t~ 30 MiB\tnot known\t"]);
    assert.deepEqual(problems, []);
  },

  async "a click on the timeline goes to the nearest moment"() {
    const { page, problems } = await open(writePage("small.html", small()));
    const over = page.locator(".timeline .u-over");
    const { width } = await over.boundingBox();
    await over.click({ position: { x: width * (4.2 / 12), y: 60 } });
    assert.match(await text(page, ".moment"), /^4 s · RSS 145 MiB/);
    assert.match(page.url(), /#at=1$/);
    await page.keyboard.press("]");
    assert.match(await text(page, ".moment"), /^11 s/);
    assert.deepEqual(problems, []);
  },

  async "a click in the icicle shows what goes through that function"() {
    const { page, problems } = await open(writePage("small.html", small()));
    await page.locator("canvas.icicle").click({ position: { x: 30, y: 22 * 3.5 } }); // load_index: the widest below main
    assert.match(await text(page, ".trail"), /everything[\s\S]*main[\s\S]*load_index/);
    assert.equal(await rows(page).count(), 1);
    await page.locator("canvas.icicle").focus();
    await page.keyboard.press("Backspace");
    assert.equal(await rows(page).count(), 4);
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("ArrowDown");
    assert.match(await text(page, "[aria-live]"), /^load_index index\.c:7/);
    assert.deepEqual(problems, []);
  },

  async "the search takes regular expressions, and says what is none"() {
    const { page, problems } = await open(writePage("small.html", small()));
    await page.keyboard.press("/");
    await page.keyboard.type("index\\.c|libplugin");
    await page.waitForFunction(() => document.querySelectorAll("table.sites tr[data-site]").length === 2);
    assert.match(await text(page, "[role=status]"), /2 of 4 call sites match/);
    await page.locator("#search").fill("(");
    await page.waitForFunction(() => document.querySelectorAll("table.sites tr[data-site]").length === 4);
    assert.match(await text(page, "[role=status]"), /not a regular expression/);
    assert.deepEqual(problems, []);
  },

  async "a link shows what was chosen"() {
    const { page } = await open(writePage("small.html", small()), { hash: "#at=0&class=mmap&sort=reserved&q=index" });
    assert.equal(await rows(page).count(), 1);
    assert.match(await text(page, ".moment"), /^1 s/);
    assert.equal(await page.locator("#search").inputValue(), "index");
    await page.getByRole("button", { name: "Show everything" }).click();
    assert.equal(await rows(page).count(), 4);
  },
});
