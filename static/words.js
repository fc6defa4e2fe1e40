// Formats amounts, prices and names, so that every part of the page writes them in the same way.

export const number = (value, digits = 0) => value.toLocaleString("en-GB", { maximumFractionDigits: digits });
export const percent = (part) => `${Math.floor(part * 100)} %`;
export const count = (amount, word) => `${number(amount)} ${word}${amount === 1 ? "" : "s"}`;

const units = (credits) => `${credits} ${credits === "1" ? "credit" : "credits"}`;

export function cost(credits) {
  if (credits === "0") return "nothing";
  if (!credits || credits === "unknown") return "unknown: the provider did not say";
  return units(credits);
}

/** What a request to a provider would cost: "about 2 credits (1 to 3), 0.0002 USD". */
export function price(provider) {
  if (!provider) return "unknown";
  const { credits, money } = provider;
  if (credits.most === "0") return provider.cache === "hit" || provider.cache === "merged" ? "nothing: it was coloured before" : "nothing";
  const certain = credits.low === credits.high;
  const about = (typical) => (certain ? "" : "about ") + typical;
  const range = ({ low, high }) => `${low} to ${high}`;
  const inCredits = credits.typical
    ? about(units(credits.typical)) + (certain ? "" : ` (${range(credits)})`)
    : `${range(credits)} credits`;
  return money ? `${inCredits}, ${money.typical ?? range(money)} ${money.currency}` : inCredits;
}

/** The price and everything else that the estimate says about a provider. */
export function terms(provider) {
  if (!provider.ready) return `not ready: ${provider.reason}`;
  const { budget, credits, seconds } = provider;
  if (budget) return `the budget ${budget.name} has ${units(budget.left)} left, but this call may cost ${budget.wanted}`;
  const said = [price(provider)];
  if (credits.most !== "0" && credits.most !== credits.high) said.push(`never more than ${credits.most}`);
  if (seconds) said.push(`about ${number(seconds.typical, 1)} s`);
  return said.join("; ");
}

/** "grandmother.tif" and "image/png" become "grandmother-coloured.png". */
export function downloadName(name, type) {
  const stem = name.replace(/\.[^.]*$/, "") || "photograph";
  const extension = { "image/jpeg": "jpg", "image/png": "png", "image/webp": "webp" }[type] ?? "img";
  return `${stem}-coloured.${extension}`;
}

/** "decode;dur=3.1, provider;dur=80" becomes "decode 3 ms, provider 80 ms". */
export function steps(timing) {
  return (timing ?? "").split(",").flatMap((step) => {
    const [, name, milliseconds] = step.match(/^\s*([\w-]+);.*?dur=([\d.]+)/) ?? [];
    return name ? [`${name} ${number(Number(milliseconds))} ms`] : [];
  }).join(", ");
}
