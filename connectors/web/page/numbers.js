// Figures as text. What is not there is a dash, never a zero.

export const NONE = "–";

const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const rate = new Intl.NumberFormat("en-US", { maximumFractionDigits: 1 });
const formats = new Map();

function fixed(digits) {
  if (!formats.has(digits)) {
    formats.set(digits, new Intl.NumberFormat("en-US", {
      minimumFractionDigits: digits, maximumFractionDigits: digits,
    }));
  }
  return formats.get(digits);
}

const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

/** A minus as wide as a plus, as typographers have it, and none before a zero. */
export const minus = (text) => text.replace(/^-(?=[0.]+( |$))/, "").replaceAll("-", "−");

export const count = (value) => (isNumber(value) ? whole.format(value) : NONE);
export const perSecond = (value) => (isNumber(value) ? `${rate.format(value)}/s` : NONE);

/** Return a price: two digits, four below 10. */
export function price(value) {
  return isNumber(value) ? fixed(Math.abs(value) < 10 ? 4 : 2).format(value) : NONE;
}

/** Return a gain or loss: two digits, six below 1, as of a portfolio of weights. */
export function money(value) {
  return isNumber(value) ? minus(fixed(Math.abs(value) < 1 ? 6 : 2).format(value)) : NONE;
}

/** Return a fraction as per cent. */
export function percent(value, digits = 2) {
  return isNumber(value) ? minus(`${fixed(digits).format(value * 100)} %`) : NONE;
}

/** Return a fraction as per cent with its sign. */
export function signedPercent(value, digits = 3) {
  return value > 0 ? `+${percent(value, digits)}` : percent(value, digits);
}

/** Return any figure with five significant digits; a small one as 4.603e-6. */
export function figure(value) {
  if (isNumber(value) && value !== 0 && Math.abs(value) < 1e-3) return minus(value.toExponential(3));
  return isNumber(value) ? minus(String(Number(value.toPrecision(5)))) : NONE;
}

/** Return seconds with the unit that suits: 250 µs, 12 ms, 1.5 s. */
export function seconds(value) {
  if (!isNumber(value)) return NONE;
  const size = Math.abs(value);
  const [factor, unit] = size === 0 || size >= 1 ? [1, "s"] : size >= 1e-3 ? [1e3, "ms"] : [1e6, "µs"];
  return minus(`${Number((value * factor).toPrecision(3))} ${unit}`);
}
