// Sorts the table and filters the pictures. Without it the page shows all there is, in the order of the report.
"use strict";

for (const head of document.querySelectorAll("table.rows thead th")) {
  const button = document.createElement("button");
  button.type = "button";
  button.title = head.title;
  button.append(...head.childNodes);
  head.append(button);
  button.addEventListener("click", () => sort(head));
}

function sort(head) {
  const column = head.cellIndex;
  const up = head.getAttribute("aria-sort") !== "ascending";
  for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", up ? "ascending" : "descending");
  const body = head.closest("table").tBodies[0];
  const rows = Array.from(body.rows, (row) => ({ row, key: keyOf(row.cells[column]) }));
  rows.sort((a, b) => compare(a.key, b.key, up));
  body.append(...rows.map((each) => each.row));
}

function keyOf(cell) {
  if (cell.dataset.value !== undefined) return Number(cell.dataset.value);
  const text = cell.textContent.trim();
  return cell.classList.contains("number") || text === "" || text === "-" ? null : text;
}

// What has no value stands last, whichever way the table is sorted.
function compare(a, b, up) {
  if (a === null || b === null) return (a === null) - (b === null);
  if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
  const order = typeof a === "number" ? a - b : a.localeCompare(b);
  return up ? order : -order;
}

const exhibits = Array.from(document.querySelectorAll(".exhibit"));
const rowsOf = (exhibit) => Array.from(exhibit.querySelectorAll("[data-row]"), (panel) => panel.dataset.row);
const names = [...new Set(exhibits.flatMap(rowsOf))];

if (names.length > 1) {
  const label = document.createElement("label");
  const select = document.createElement("select");
  for (const name of ["all rows", ...names]) select.add(new Option(name, name));
  label.className = "filter";
  label.append("Show the pictures of ", select);
  document.querySelector(".exhibits").before(label);
  select.addEventListener("change", () => show(select.selectedIndex ? select.value : null));
}

function show(name) {
  for (const exhibit of exhibits) {
    exhibit.hidden = name !== null && !rowsOf(exhibit).includes(name);
    for (const panel of exhibit.querySelectorAll("[data-row]")) panel.hidden = name !== null && panel.dataset.row !== name;
  }
}
