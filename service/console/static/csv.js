// Tables as CSV files (RFC 4180), safe to open in a spreadsheet.

const FORMULA = /^[=+\-@\t\r]/; // what spreadsheets read as a formula

/** Rows of texts, numbers and nulls as CSV. */
export function csv(rows) {
  return rows.map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
}

function cell(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return String(value); // every bit, and no formula
  const text = FORMULA.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Hand a text to the browser as a file. */
export function download(name, text, type) {
  const url = URL.createObjectURL(new Blob(["\ufeff", text], { type })); // the mark tells Excel UTF-8
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
