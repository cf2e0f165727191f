// German where the browser prefers it to English, else English.
const preferred = navigator.languages.find((each) => /^(de|en)\b/.test(each)) ?? "en";

/** "de" or "en" */
export const language = preferred.slice(0, 2);

/** For dates and numbers. */
export const locale = language === "de" ? "de-DE" : "en-GB";

/** One of two texts. */
export const t = (german, english) => (language === "de" ? german : english);
