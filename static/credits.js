// Sums of credits and money. Amounts are decimals as text, as the API writes them, with up to six decimal places; sums
// are exact.

const PLACES = 6;

function micro(amount) {
  const [whole, part = ""] = amount.split(".");
  return BigInt(whole + part.slice(0, PLACES).padEnd(PLACES, "0"));
}

function written(amount) {
  const digits = String(amount).padStart(PLACES + 1, "0");
  const part = digits.slice(-PLACES).replace(/0+$/, "");
  return digits.slice(0, -PLACES) + (part && `.${part}`);
}

/** The sum of amounts; null if one of them is null. */
export function sum(amounts) {
  return amounts.includes(null) ? null : written(amounts.reduce((total, amount) => total + micro(amount), 0n));
}

/** Whether one amount is less than another. */
export const isLess = (one, other) => micro(one) < micro(other);

/**
 * The offer of one provider for several photographs: its offers for each of them, added up. What is true of one is
 * true of all, except the price and the time.
 */
export function total(offers) {
  const of = (member) => sum(offers.map(({ credits }) => credits[member]));
  const ranges = (get) => Object.fromEntries(["low", "typical", "high", "most"].map((name) => [name, get(name)]));
  const monies = offers.map(({ money, credits }) => money ?? (credits.most === "0" ? {} : null));
  const currency = monies.find((money) => money?.currency)?.currency;
  const refused = offers.find(({ ready, budget }) => !ready || budget);
  const seconds = offers.reduce((all, one) => all + (one.seconds?.typical ?? 0), 0);
  return {
    ...(refused ?? offers[0]),
    cache: offers.every(({ cache }) => cache === "hit" || cache === "merged") ? "hit" : "miss",
    credits: ranges(of),
    money: currency && !monies.includes(null)
      ? { currency, ...ranges((name) => sum(monies.map((money) => (money.currency ? money[name] : "0")))) }
      : null,
    seconds: seconds ? { typical: seconds } : null,
    paid: offers.filter(({ credits }) => credits.most !== "0").length,
    left: offers.find(({ left }) => left)?.left ?? null,
  };
}
