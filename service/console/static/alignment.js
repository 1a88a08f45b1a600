// The student's side: each query token's share of the score, against the share it would need.

import { el } from "./dom.js";
import { cosine, logit, score } from "./format.js";
import { t } from "./strings.js";

const SLACK = 0.1; // of the share needed: a token this near to it says nothing either way

/** A table of contributions that add up to the logit; bars show each against what is needed. */
export function contributions(pair, spans) {
  const differences = pair.contributions.map((one) => one.contribution - (pair.needed ?? 0));
  const widest = Math.max(0.01, ...differences.map(Math.abs));
  const rows = pair.contributions.map((one, at) => row(one, differences[at] / widest, spans, pair));
  const heads = [
    ["queryToken", ""],
    ["bestItemToken", ""],
    ["cosineHead", "number"],
    ["contributionHead", "number"],
    ["againstNeeded", "bars"],
  ];
  return el(
    "table",
    { class: "plain contributions" },
    el("thead", {}, el("tr", {}, heads.map(([key, kind]) => el("th", { scope: "col", class: kind, text: t(key) })))),
    el("tbody", {}, rows),
    el("tfoot", {}, sums(pair)),
  );
}

/** What the teacher's evidence says of a query token, and whether the student says the opposite. */
export function disagreement(one, spans, needed) {
  if (needed === null) return null;
  const own = spans.filter((span) => span.side === "query" && span.start < one.end && one.start < span.end);
  if (!own.length) return null;
  const against = own.some((span) => span.relevance === "irrelevant");
  const difference = one.contribution - needed;
  if (Math.abs(difference) < SLACK * Math.abs(needed)) return null;
  if (against && difference > 0) return "studentForTeacherAgainst";
  if (!against && difference < 0) return "studentAgainstTeacherFor";
  return null;
}

function row(one, difference, spans, pair) {
  const lifts = difference >= 0;
  const fill = el("span", { class: `share ${lifts ? "good" : "bad"}` });
  fill.style.width = `${50 * Math.abs(difference)}%`;
  fill.style.left = lifts ? "50%" : `${50 - 50 * Math.abs(difference)}%`;
  const disputed = disagreement(one, spans, pair.needed);
  const says = t(lifts ? "liftsScore" : "lowersScore");
  return el(
    "tr",
    {},
    el(
      "th",
      { scope: "row" },
      el("span", { class: "token", text: one.token }),
      disputed && el("span", { class: "disputed", title: t(disputed), text: "\u2260" }),
      disputed && el("span", { class: "spoken", text: ` ${t(disputed)}` }),
    ),
    el("td", {}, el("span", { class: "token", text: one.best.token })),
    el("td", { class: "number", text: cosine(one.cosine) }),
    el("td", { class: "number", text: logit(one.contribution) }),
    el(
      "td",
      { class: "bars" },
      el("span", { class: "shares", "aria-hidden": "true" }, fill, el("span", { class: "shares-zero" })),
      el("span", { class: "spoken", text: says }),
    ),
  );
}

function sums(pair) {
  const sum = pair.contributions.reduce((total, one) => total + one.contribution, 0);
  const line = (name, value) =>
    el("tr", {}, el("th", { scope: "row", colspan: 3, text: name }), el("td", { class: "number", text: value }), el("td"));
  return [
    line(t("sum"), logit(sum)),
    line(t("bias"), logit(pair.bias)),
    line(t("logit"), logit(pair.logit)),
    line(t("sigmoid"), score(pair.score)),
  ];
}
