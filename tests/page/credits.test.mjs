// Sums of amounts.

import assert from "node:assert/strict";
import { test } from "node:test";

import { isLess, sum, total } from "../../static/credits.js";

test("sums are exact", () => {
  assert.equal(sum(["0.1", "0.2"]), "0.3");
  assert.equal(sum(["0.000001", "999999.999999"]), "1000000");
  assert.equal(sum([]), "0");
  assert.equal(sum(["9007199254740993", "0.000001"]), "9007199254740993.000001");
  assert.equal(sum(["1", null]), null);
  assert.ok(isLess("9.5", "10") && !isLess("10", "10"));
});

const offer = (more) => ({
  name: "cloud", ready: true, cache: "miss", credits: { low: "1", typical: "2", high: "3", most: "5" },
  money: { currency: "USD", low: "0.0001", typical: "0.0002", high: "0.0003", most: "0.0005" }, seconds: { typical: 1.5 }, ...more,
});
const nothing = { low: "0", typical: "0", high: "0", most: "0" };

test("the total of a selection has the price of what is not cached", () => {
  const cached = offer({ cache: "hit", credits: nothing, money: { currency: "USD", ...nothing }, seconds: null });
  const all = total([offer(), cached, offer()]);
  assert.deepEqual(all.credits, { low: "2", typical: "4", high: "6", most: "10" });
  assert.deepEqual(all.money, { currency: "USD", low: "0.0002", typical: "0.0004", high: "0.0006", most: "0.001" });
  assert.deepEqual([all.seconds, all.paid, all.cache], [{ typical: 3 }, 2, "miss"]);
  assert.equal(total([cached, cached]).cache, "hit");
});

test("an unknown part makes the total unknown, and a refusal is named", () => {
  assert.equal(total([offer(), offer({ credits: { ...nothing, typical: null, most: "1" } })]).credits.typical, null);
  assert.equal(total([offer(), offer({ money: null })]).money, null);
  const budget = { name: "small", left: "4", wanted: "5" };
  assert.deepEqual(total([offer(), offer({ budget })]).budget, budget);
  assert.equal(total([offer(), offer({ ready: false, reason: "no key" })]).reason, "no key");
});
