// The frame around the views: which one the address names, theme, language, key; and its faults.

import { Fault, ask, hasKey, useKey } from "./api.js";
import { el, fill } from "./dom.js";
import { errorsView } from "./errors.js";
import { count, short } from "./format.js";
import { pairView } from "./pair.js";
import { queryView } from "./query.js";
import { LANGUAGES, nameAspects, speak, speaks, t } from "./strings.js";

const VIEWS = { pair: pairView, query: queryView, errors: errorsView };
const TITLES = { pair: "pairView", query: "queryView", errors: "errorsView" };
const THEMES = { auto: "themeAuto", light: "themeLight", dark: "themeDark" };
const DENIED = new Set([401, 403]);

let info = null;
let leave = new AbortController(); // aborted when another view takes the place of this one

/** The view and its parameters, as the address after `#/` names them. */
function place() {
  const [, name = "", search = ""] = /^#\/(\w*)\??(.*)$/.exec(location.hash) ?? [];
  return { name: name in VIEWS ? name : "pair", parameters: new URLSearchParams(search) };
}

/** Remember an address without drawing the view again. */
function remember(name, parameters) {
  const words = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value));
  history.replaceState(null, "", `#/${name}${words.size ? `?${words}` : ""}`);
}

async function draw() {
  leave.abort();
  leave = new AbortController();
  const { name, parameters } = place();
  document.title = `${t(TITLES[name])} \u00b7 ${t("title")}`;
  drawTop(name);
  const view = document.getElementById("view");
  const shell = { info, parameters, signal: leave.signal, remember: (own) => remember(name, own), fault, refreshInfo };
  fill(view, el("h1", { class: "spoken", text: t(TITLES[name]) }), VIEWS[name](shell));
}

function drawTop(current) {
  document.getElementById("skip").textContent = t("skip");
  const links = Object.keys(VIEWS).map((name) =>
    el("a", { href: `#/${name}`, "aria-current": name === current ? "page" : null, text: t(TITLES[name]) }),
  );
  fill(
    document.getElementById("top"),
    el("p", { class: "brand", text: t("title") }),
    el("nav", { "aria-label": t("views") }, links),
    el("div", { class: "top-tools" }, picker("language", LANGUAGES, speaks(), setLanguage), themePicker(), signOut()),
  );
  drawFoot();
}

function drawFoot() {
  const foot = document.getElementById("foot");
  if (!info) return fill(foot);
  const parts = [
    `${t("bundle")} ${short(info.bundle)}`,
    info.student,
    `${t("generation")} ${info.generation}`,
    `${count(info.sequence)} ${t("sequence")}`,
    `${count(info.items)} ${t("items")}`,
    `ellm-mkd ${info.version}`,
  ];
  if (info.compared) parts.splice(2, 0, `${t("secondBundle")} ${short(info.compared.bundle)}`);
  return fill(foot, parts.map((part) => el("span", { text: part })));
}

function picker(key, choices, chosen, onpick) {
  const select = el("select", { "aria-label": t(key) });
  for (const [value, label] of Object.entries(choices)) {
    select.append(el("option", { value, selected: value === chosen, text: label }));
  }
  select.addEventListener("change", () => onpick(select.value));
  return select;
}

function themePicker() {
  const names = Object.fromEntries(Object.entries(THEMES).map(([value, key]) => [value, t(key)]));
  return picker("theme", names, localStorage.getItem("console-theme") ?? "auto", (theme) => {
    localStorage.setItem("console-theme", theme);
    document.documentElement.dataset.theme = theme;
  });
}

function signOut() {
  if (!hasKey()) return null;
  const forget = () => {
    useKey(null);
    start();
  };
  return el("button", { type: "button", class: "quiet", text: t("signOut"), onclick: forget });
}

function setLanguage(language) {
  localStorage.setItem("console-language", language);
  speak(language);
  draw();
}

/** What to show in place of an answer; asks for a key where one is needed. */
function fault(problem) {
  if (problem instanceof Fault && DENIED.has(problem.status) && problem.code !== "cross_site") {
    askForKey(problem.status === 403 || hasKey());
  }
  const message = problem instanceof Fault && problem.code === "no_answer" ? t("noAnswer") : problem.message;
  return el("p", { class: "fault", role: "alert", text: message });
}

function askForKey(wasWrong) {
  if (document.querySelector("dialog[open]")) return;
  const input = el("input", { type: "password", class: "text", id: "key", autocomplete: "off", required: true });
  const dialog = el("dialog", { "aria-labelledby": "sign-in" });
  const submit = (event) => {
    event.preventDefault();
    useKey(input.value.trim());
    dialog.close();
    dialog.remove();
    start();
  };
  dialog.append(
    el(
      "form",
      { onsubmit: submit },
      el("h2", { id: "sign-in", text: t("signIn") }),
      el("p", { text: t(wasWrong ? "keyWrong" : "keyNeeded") }),
      el("div", { class: "field" }, el("label", { for: "key", text: t("key") }), input),
      el("button", { class: "primary", text: t("signIn") }),
    ),
  );
  document.body.append(dialog);
  dialog.showModal();
}

async function refreshInfo() {
  info = await ask("info");
  nameAspects(info.aspects);
  drawFoot();
  return info;
}

/** Ask what is served, then draw the view; faults are told in its place. */
async function start() {
  try {
    await refreshInfo();
  } catch (problem) {
    drawTop(place().name);
    const again = el("button", { type: "button", class: "primary", text: t("retry"), onclick: start });
    fill(document.getElementById("view"), fault(problem), again);
    return;
  }
  await draw();
}

document.documentElement.dataset.theme = localStorage.getItem("console-theme") ?? "auto";
speak(localStorage.getItem("console-language") ?? navigator.language.slice(0, 2));
addEventListener("hashchange", () => (info ? draw() : start()));
start();
