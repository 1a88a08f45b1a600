// The teacher's side: texts with its evidence marked, and its findings by aspect.

import { el } from "./dom.js";
import { t, aspectName } from "./strings.js";

export const VERDICT_GLYPHS = { match: "\u2713", mismatch: "\u2715", missing: "\u25cb" };

/** A verdict as glyph and word, so that colour is never alone. */
export function verdict(name) {
  return el(
    "span",
    { class: `verdict ${name}` },
    el("span", { "aria-hidden": "true", text: VERDICT_GLYPHS[name] }),
    ` ${t(name)}`,
  );
}

/** Good or Bad as glyph and word. */
export function label(name) {
  if (name === null || name === undefined) return el("span", { class: "muted", text: t("noLabel") });
  const glyph = name === "Good" ? "\u2713" : "\u2715";
  const kind = name === "Good" ? "match" : "mismatch";
  return el(
    "span",
    { class: `verdict ${kind}` },
    el("span", { "aria-hidden": "true", text: glyph }),
    ` ${t(name)}`,
  );
}

/** A text with `spans` of characters marked; where two overlap, the one against the pair wins. */
export function marked(text, spans) {
  const characters = Array.from(text); // offsets count code points, as Python does
  const owner = new Array(characters.length).fill(null);
  const order = [...spans].sort((a, b) => rank(a) - rank(b));
  for (const span of order) owner.fill(span, span.start, Math.min(span.end, characters.length));
  const pieces = [];
  for (let start = 0; start < characters.length; ) {
    let end = start + 1;
    while (end < characters.length && owner[end] === owner[start]) end += 1;
    pieces.push(piece(characters.slice(start, end).join(""), owner[start]));
    start = end;
  }
  return el("p", { class: "marked" }, pieces);
}

const rank = (span) => (span.relevance === "irrelevant" ? 1 : 0);

function piece(text, span) {
  if (span === null) return text;
  const says = `${aspectName(span.aspect)}: ${t(span.relevance)}`;
  const glyph = span.relevance === "irrelevant" ? "\u2715" : "\u2713";
  return el(
    "mark",
    { class: span.relevance, title: says },
    text,
    el("span", { class: "mark-glyph", "aria-hidden": "true", text: glyph }),
    el("span", { class: "spoken", text: ` (${says})` }),
  );
}

/** What the query asks, what the item offers and the verdict, aspect by aspect. */
export function findings(aspects) {
  if (!aspects.length) return el("p", { class: "muted", text: t("noAspects") });
  const rows = aspects.map((finding) =>
    el(
      "tr",
      {},
      el("th", { scope: "row", text: aspectName(finding.aspect) }),
      el("td", { text: finding.asked }),
      el("td", finding.offered === null ? { class: "muted", text: t("notStated") } : { text: finding.offered }),
      el("td", {}, verdict(finding.verdict)),
    ),
  );
  const heads = ["aspect", "queryAsks", "itemOffers", "verdict"];
  return el(
    "table",
    { class: "plain findings" },
    el("thead", {}, el("tr", {}, heads.map((head) => el("th", { scope: "col", text: t(head) })))),
    el("tbody", {}, rows),
  );
}
