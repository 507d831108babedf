// What axe-core finds, in light and dark, in every state that a person brings the page into; and that
// all of it can be reached by keys. Colors are the same in all states: the short form asks for them where the page opens,
// in an opened site and in a comparison, the long one everywhere.
import { assert, axe, main, open, writePage } from "./lib.mjs";
import { small, smallDiff } from "./made_data.mjs";

const LONG = process.env.VMT_SOAK !== undefined;
const STATES = { "as it opens": "", filtered: "#class=mmap&q=index", "a site opened": "#site=0&at=1", "by who touched it": "#chart=touchers" };

await main({
  async "axe-core finds nothing, light and dark"() {
    for (const [what, hash] of Object.entries(STATES)) {
      const { page } = await open(writePage("small.html", small()), { hash });
      for (const summary of await page.locator("details.as-table summary").all()) await summary.click();
      const colored = LONG || what === "as it opens" || what === "a site opened";
      await axe(page, `${what}, light`, { parts: colored ? "all" : "structure" });
      await page.emulateMedia({ colorScheme: "dark" });
      if (colored) await axe(page, `${what}, dark`, { parts: "colors" });
      await page.close();
    }
  },

  async "nor in a comparison or on a narrow screen"() {
    for (const dark of [false, true]) {
      const compared = await open(writePage("diff.html", smallDiff()), { dark });
      await axe(compared.page, "a comparison", { parts: dark ? "colors" : "all" });
      await compared.page.close();
      const narrow = await open(writePage("small.html", small()), { dark, width: 360, height: 700 });
      if (LONG || !dark) await axe(narrow.page, "narrow", { parts: LONG ? "all" : "structure" });
      const wide = await narrow.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(wide <= 0, `the page is ${wide} px wider than a narrow screen`);
      await narrow.page.close();
    }
  },

  // Every button, field and chart has its turn, and is seen to have it.
  async "Tab reaches everything, with a visible focus"() {
    const { page } = await open(writePage("small.html", small()));
    const most = await page.evaluate(() => {
      const parts = document.querySelectorAll("button, input, summary, [tabindex='0']");
      globalThis.left = new Set([...parts].filter((e) => e.checkVisibility() && !e.disabled));
      globalThis.first = null;
      return document.querySelectorAll("*").length;
    });
    let round = false;
    for (let presses = 0; !round; presses++) {
      assert.ok(presses <= most, "Tab comes to the beginning again");
      await page.keyboard.press("Tab");
      const at = await page.evaluate(() => {
        const e = document.activeElement;
        const style = getComputedStyle(e);
        const round = e === globalThis.first;
        if (e !== document.body) globalThis.first ??= e;
        globalThis.left.delete(e);
        return { round, outline: e === document.body || (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1), what: e.outerHTML.slice(0, 120) };
      });
      assert.ok(at.outline, `no visible focus: ${at.what}`);
      round = at.round;
    }
    const left = await page.evaluate(() => [...globalThis.left].map((e) => e.outerHTML.slice(0, 120)));
    assert.deepEqual(left, [], "Tab does not reach these");
  },
});
