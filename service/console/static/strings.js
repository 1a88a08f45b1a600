// Which language the pages speak, and the text of a key in it.

import { CHINESE } from "./chinese.js";
import { ENGLISH } from "./english.js";

export const STRINGS = { en: ENGLISH, zh: CHINESE };
export const LANGUAGES = { en: "EN", zh: "中文" };

let language = "en";
let chineseAspects = {};

/** The text of a key, `{name}` filled with `values`. */
export function t(key, values = {}) {
  const text = STRINGS[language][key];
  if (text === undefined) throw new Error(`no text for ${key}`);
  return text.replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
}

/** A key's text, or `otherwise` where there is none: for words the service may add later. */
export const known = (key, otherwise) => (key in ENGLISH ? t(key) : otherwise);

/** Take the aspects' Chinese names from the service: a shop may change the list. */
export function nameAspects(names) {
  chineseAspects = names;
}

/** An aspect's name for people. */
export function aspectName(name) {
  const own = language === "zh" ? chineseAspects[name] : null;
  return own ?? name.replaceAll("_", " ");
}

export const speaks = () => language;

/** Speak this language from now on. */
export function speak(wanted) {
  language = wanted in STRINGS ? wanted : "en";
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
}
