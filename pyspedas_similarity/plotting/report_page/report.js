"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = (name) => document.getElementById(name);
  const body = document.querySelector(".scroll tbody");
  const rows = body ? Array.from(body.rows) : [];
  const column = (name) => data.columns.indexOf(name);

  // Copy the paragraphs; where a browser refuses, they are selected, to be copied by hand.
  byId("copy").addEventListener("click", async () => {
    const say = (text) => { byId("copied").textContent = text; };
    try {
      await navigator.clipboard.writeText(data.methods.join("\n\n"));
      say("Copied.");
    } catch {
      getSelection().selectAllChildren(byId("methods"));
      say("Selected: copy it with your browser.");
    }
  });

  // Sort. Of equal values, the better match comes first; what has no value comes last.
  const value = (row, number) => {
    const which = Number(row.dataset.row);
    if (number < 0) return which;
    const text = data.rows[which][number];
    return data.numbers[number] ? (text === "" ? NaN : Number(text)) : text;
  };
  const compare = (a, b) => {
    if (Number.isNaN(a) || Number.isNaN(b)) return null;
    return a < b ? -1 : a > b ? 1 : 0;
  };
  const sort = (number, direction) => {
    rows.sort((one, other) => {
      const [a, b] = [value(one, number), value(other, number)];
      const order = compare(a, b);
      if (order === null) return Number.isNaN(a) - Number.isNaN(b) || one.dataset.row - other.dataset.row;
      return direction * order || one.dataset.row - other.dataset.row;
    });
    body.append(...rows);
  };
  for (const button of document.querySelectorAll("thead button")) {
    button.addEventListener("click", () => {
      const head = button.parentElement;
      const up = head.getAttribute("aria-sort") !== "ascending";
      for (const one of head.parentElement.children) one.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      sort(Number(button.dataset.column), up ? 1 : -1);
    });
  }

  // Filter. Times are compared as text: "2015-10-16 13" is before "2015-10-16T13:07".
  const asTime = (text) => text.trim().replace(/[\/ ]+/, "T").replace(/Z$/i, "");
  const filter = () => {
    const words = byId("contains").value.toLowerCase().trim();
    const least = byId("least").value === "" ? -Infinity : Number(byId("least").value);
    const [from, to] = [asTime(byId("from").value), asTime(byId("to").value)];
    const [score, peak] = [column("score"), column("peak")];
    let shown = 0;
    for (const row of rows) {
      const cells = data.rows[Number(row.dataset.row)];
      const fits = Number(cells[score]) >= least && cells[peak] >= from && (to === "" || cells[peak].slice(0, to.length) <= to)
        && (words === "" || cells.join("\n").toLowerCase().includes(words) || row.textContent.toLowerCase().includes(words));
      row.hidden = !fits;
      shown += fits;
    }
    const all = rows.length;
    byId("shown").textContent = shown === all ? `${all} interval${all === 1 ? "" : "s"}` : `${shown} of ${all} intervals shown`;
  };
  const fields = ["contains", "least", "from", "to"].map(byId).filter(Boolean);
  for (const field of fields) field.addEventListener("input", filter);
  if (body) {
    byId("reset").addEventListener("click", () => {
      for (const field of fields) field.value = "";
      filter();
    });
  }

  // Exports: what is shown, in the order it is shown in.
  const shownRows = () => rows.filter((row) => !row.hidden).map((row) => data.rows[Number(row.dataset.row)]);
  const cell = (text, number) => {
    // A spreadsheet would take such a text for a formula.
    const safe = !data.numbers[number] && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
    return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  const exports = {
    csv: () => [`${data.columns.join(",")}\n${shownRows().map((row) => `${row.map(cell).join(",")}\n`).join("")}`, "text/csv", "intervals.csv"],
    json: () => {
      const intervals = shownRows().map((row) => Object.fromEntries(row.map((text, number) =>
        [data.columns[number], data.numbers[number] && text !== "" ? Number(text) : text])));
      const all = { title: data.title, intervals, search: data.records, versions: data.versions, citation: data.citation };
      return [JSON.stringify(all, null, 1), "application/json", "intervals.json"];
    },
    times: () => {
      const [start, end] = [column("start"), column("end")];
      const lines = shownRows().map((row) => `${row[start].replace("T", "/")} ${row[end].replace("T", "/")}\n`);
      return [lines.join(""), "text/plain", "intervals.txt"];
    },
  };
  for (const button of document.querySelectorAll("[data-export]")) {
    button.addEventListener("click", () => {
      const [text, type, name] = exports[button.dataset.export]();
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([text], { type: `${type};charset=utf-8` }));
      link.download = name;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    });
  }

  // Map: pointing at a mark, or going through them with the arrow keys, tells which sample it is.
  const map = byId("points");
  if (map) {
    const marks = Array.from(map.querySelectorAll("[data-point]"));
    const order = marks.filter((mark) => !mark.classList.contains("other")).reverse();
    let now = null;
    const tell = (mark) => {
      if (now) now.classList.remove("now");
      now = mark;
      mark.classList.add("now");
      const [text, row] = data.points[Number(mark.dataset.point)];
      byId("told").textContent = text;
      for (const chosen of document.querySelectorAll("tr.chosen")) chosen.classList.remove("chosen");
      if (row >= 0) byId(`row-${row}`).classList.add("chosen");
    };
    map.addEventListener("pointerover", (event) => {
      if (event.target.dataset && event.target.dataset.point !== undefined) tell(event.target);
    });
    map.addEventListener("click", (event) => {
      if (!event.target.dataset || event.target.dataset.point === undefined) return;
      tell(event.target);
      const row = data.points[Number(event.target.dataset.point)][1];
      if (row >= 0) location.hash = `row-${row}`;
    });
    map.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (!step || !order.length) return;
      event.preventDefault();
      const at = order.indexOf(now);
      tell(order[at < 0 ? 0 : (at + step + order.length) % order.length]);
    });
  }

  // On paper everything is open.
  const closed = () => document.querySelectorAll("details:not([open])");
  let opened = [];
  addEventListener("beforeprint", () => { opened = Array.from(closed()); for (const one of opened) one.open = true; });
  addEventListener("afterprint", () => { for (const one of opened) one.open = false; });
})();
