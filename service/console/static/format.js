// Numbers as texts: one way for each quantity, with a real minus sign and fixed decimals.

const signed = (value, digits) => (value < 0 ? "\u2212" : "+") + Math.abs(value).toFixed(digits);

export const score = (value) => (value === null ? "\u2013" : value.toFixed(3));
export const logit = (value) => signed(value, 3);
export const cosine = (value) => (value < 0 ? "\u2212" : "") + Math.abs(value).toFixed(2);
export const count = (value) => value.toLocaleString("en-GB");
export const milliseconds = (value) => `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
export const percent = (share) => `${(100 * share).toFixed(1)} %`;
/** The beginning of a hash, enough to tell two apart. */
export const short = (hash) => hash.slice(0, 8);
