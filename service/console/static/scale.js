// The one scale every score is shown on: 0 to 1, the threshold marked, one marker a judge.

import { el } from "./dom.js";
import { score } from "./format.js";
import { t } from "./strings.js";

const GLYPHS = { student: "\u25cf", teacher: "\u25c6", second: "\u25a0" };

const ROOM = 0.25; // of the scale: nearer to an end, the threshold's number takes that end's place

/** A large scale; `marks` are [{judge, score}], those without a score are left out. */
export function scale(threshold, marks) {
  const shown = marks.filter((mark) => mark.score !== null && mark.score !== undefined);
  const spoken = shown.map((mark) => `${t(mark.judge)} ${score(mark.score)}`);
  const label = t("scaleLabel", { scores: spoken.join(", "), threshold: score(threshold) });
  const track = el("div", { class: "scale-track" }, at(el("span", { class: "scale-good" }), threshold));
  track.firstChild.style.width = `${100 * (1 - threshold)}%`;
  const tick = at(el("span", { class: "scale-tick" }), threshold);
  const markers = shown.map((mark) =>
    at(el("span", { class: `scale-mark ${mark.judge}`, text: GLYPHS[mark.judge] }), mark.score),
  );
  const named = el("span", { class: "scale-threshold", text: `${t("threshold")} ${score(threshold)}` });
  named.style.left = `clamp(48px, ${100 * threshold}%, calc(100% - 48px))`;
  const numbers = el(
    "div",
    { class: "scale-numbers", "aria-hidden": "true" },
    el("span", { text: threshold < ROOM ? "" : "0" }),
    named,
    el("span", { text: threshold > 1 - ROOM ? "" : "1" }),
  );
  return el("div", { class: "scale", role: "img", "aria-label": label }, track, tick, markers, numbers);
}

/** A small bar for table cells; the number stands beside it. */
export function bar(value, threshold) {
  const kind = value >= threshold ? "good" : "bad";
  const fill = el("span", { class: `bar-fill ${kind}` });
  fill.style.width = `${100 * value}%`;
  const tick = at(el("span", { class: "bar-tick" }), threshold);
  return el("span", { class: "bar", "aria-hidden": "true" }, fill, tick);
}

/** What stands for a judge on the scale. */
export const glyphOf = (judge) => GLYPHS[judge];

function at(element, value) {
  element.style.left = `${100 * value}%`;
  return element;
}
