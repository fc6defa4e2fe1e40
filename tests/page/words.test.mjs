// Formats of names, times and prices.

import assert from "node:assert/strict";
import { test } from "node:test";

import { downloadName, duration, price, progress } from "../../static/words.js";

test("a download keeps its folder and gets the extension of its type", () => {
  assert.equal(downloadName("grandmother.tif", "image/png"), "grandmother-coloured.png");
  assert.equal(downloadName("box 1.5/scan", "image/jpeg"), "box 1.5/scan-coloured.jpg");
  assert.equal(downloadName("a.b.c.webp", "image/webp"), "a.b.c-coloured.webp");
  assert.equal(downloadName(".jpg", "image/tiff"), "photograph-coloured.tif");
});

test("times are rounded to what a person wants to know", () => {
  assert.deepEqual([0.2, 59, 89, 95, 3600, 7200, 90000].map(duration), ["1 s", "59 s", "89 s", "2 min", "60 min", "2 h", "25 h"]);
});

test("a price says whether it is certain", () => {
  const credits = (low, typical, high, most) => ({ credits: { low, typical, high, most }, money: null, cache: "miss" });
  assert.equal(price(credits("2", "2", "2", "2")), "2 credits");
  assert.equal(price(credits("1", "2", "3", "5")), "about 2 credits (1 to 3)");
  assert.equal(price(credits("1", null, "5", "5")), "1 to 5 credits");
  assert.equal(price(credits("0", "0", "0", "0")), "nothing");
  assert.equal(price(undefined), "unknown");
});

test("progress leaves out what is not known", () => {
  assert.equal(progress({ all: 30, done: 12, failed: 0, left: null, spent: "0" }), "12 of 30 done");
  assert.equal(progress({ all: 300, done: 12, failed: 2, left: 240, spent: "24.5" }), "12 of 300 done · 2 failed · about 4 min left · 24.5 credits spent");
});
