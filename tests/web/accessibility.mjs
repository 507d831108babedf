// What axe-core finds, in light and dark, in every state that a person brings the page into; and that
// all of it can be reached by keys.
import { assert, axe, main, open, writePage } from "./lib.mjs";
import { small, smallDiff } from "./made_data.mjs";

const STATES = { "as it opens": "", filtered: "#class=mmap&q=index", "a site opened": "#site=0&at=1", "by who touched it": "#chart=touchers" };

await main({
  async "axe-core finds nothing, light and dark"() {
    for (const [what, hash] of Object.entries(STATES)) {
      const { page } = await open(writePage("small.html", small()), { hash });
      for (const summary of await page.locator("details.as-table summary").all()) await summary.click();
      await axe(page, `${what}, light`);
      await page.emulateMedia({ colorScheme: "dark" });
      await axe(page, `${what}, dark`, { colors: true });
      await page.close();
    }
  },

  async "nor in a comparison or on a narrow screen"() {
    for (const dark of [false, true]) {
      const compared = await open(writePage("diff.html", smallDiff()), { dark });
      await axe(compared.page, "a comparison", { colors: dark });
      await compared.page.close();
      const narrow = await open(writePage("small.html", small()), { dark, width: 360, height: 700 });
      await axe(narrow.page, "narrow", { colors: dark });
      const wide = await narrow.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(wide <= 0, `the page is ${wide} px wider than a narrow screen`);
      await narrow.page.close();
    }
  },

  // Every button, field and chart has its turn, and is seen to have it.
  async "Tab reaches everything, with a visible focus"() {
    const { page } = await open(writePage("small.html", small()));
    const all = await page.evaluate(() => [...document.querySelectorAll("button, input, summary, [tabindex='0']")].filter((e) => e.checkVisibility() && !e.disabled).length);
    const seen = new Set();
    for (let i = 0; i < 3 * all && seen.size < all; i++) {
      await page.keyboard.press("Tab");
      const at = await page.evaluate(() => {
        const e = document.activeElement;
        if (e === document.body) return null;
        const style = getComputedStyle(e);
        globalThis.order ??= new Map();
        if (!globalThis.order.has(e)) globalThis.order.set(e, globalThis.order.size);
        return { id: globalThis.order.get(e), outline: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1, what: e.outerHTML.slice(0, 120) };
      });
      if (!at) continue;
      assert.ok(at.outline, `no visible focus: ${at.what}`);
      seen.add(at.id);
    }
    assert.ok(seen.size >= all, `Tab reached ${seen.size} of ${all}`);
  },
});
