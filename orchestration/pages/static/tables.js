/* Sorts and filters tables; without script they stay as they are.
   table[data-sortable]: each head becomes a button; a cell's data-value (a number or a text) is sorted by, else its text.
   input[data-filter="id of a table"]: hides the rows that do not hold its text. */
"use strict";

function valueOf(row, column) {
  const cell = row.cells[column];
  if (!cell) return "";
  const text = cell.dataset.value ?? cell.textContent.trim();
  const number = Number(text);
  return text !== "" && !Number.isNaN(number) ? number : text;
}

function compare(one, other) {
  // Cells without a value come last, in whatever order.
  if (one === "" || other === "") return one === other ? 0 : null;
  if (typeof one === "number" && typeof other === "number") return one - other;
  return String(one).localeCompare(String(other), document.documentElement.lang);
}

function sortBy(table, column, isDescending) {
  const body = table.tBodies[0];
  const rows = [...body.rows].filter((row) => !row.classList.contains("total"));
  const totals = [...body.rows].filter((row) => row.classList.contains("total"));
  rows.sort((one, other) => {
    const [a, b] = [valueOf(one, column), valueOf(other, column)];
    const order = compare(a, b);
    if (order === null) return a === "" ? 1 : -1;
    return isDescending ? -order : order;
  });
  body.append(...rows, ...totals);
}

for (const table of document.querySelectorAll("table[data-sortable]")) {
  const heads = [...table.tHead.rows[table.tHead.rows.length - 1].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const isDescending = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", isDescending ? "descending" : "ascending");
      sortBy(table, column, isDescending);
    });
  });
}

for (const input of document.querySelectorAll("input[data-filter]")) {
  const table = document.getElementById(input.dataset.filter);
  input.closest("[hidden]")?.removeAttribute("hidden");
  input.addEventListener("input", () => {
    const wanted = input.value.trim().toLocaleLowerCase();
    for (const body of table.tBodies) {
      // A table of groups hides whole groups, a plain one rows.
      const parts = table.tBodies.length > 1 ? [body] : [...body.rows];
      for (const part of parts) part.hidden = !part.textContent.toLocaleLowerCase().includes(wanted);
    }
  });
}
