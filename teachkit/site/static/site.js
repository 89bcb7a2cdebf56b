// Theme, search, tables that sort and filter. Works from file:// as well: nothing is fetched, data come as scripts.
(function () {
  "use strict";
  const root = document.body.dataset.root;

  // ---- light and dark
  document.getElementById("theme").addEventListener("click", () => {
    const page = document.documentElement;
    const dark = page.dataset.theme ? page.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    page.dataset.theme = dark ? "light" : "dark";
    try { localStorage.setItem("teachkit-theme", page.dataset.theme); } catch (error) { /* kept for this page alone */ }
  });

  // ---- search
  const input = document.getElementById("search");
  const list = document.getElementById("found");
  let chosen = -1;

  function loadIndex() {
    if (window.teachkitIndex || document.getElementById("search-index")) return;
    const script = document.createElement("script");
    script.id = "search-index";
    script.src = root + "static/search-index.js";
    script.addEventListener("load", show);
    document.head.append(script);
  }

  function rank(entry, words) {
    const title = entry[0].toLowerCase();
    const rest = (entry[1] + " " + entry[3]).toLowerCase();
    let total = 0;
    for (const word of words) {
      if (title === word) total += 8;
      else if (title.startsWith(word)) total += 5;
      else if (title.includes(word)) total += 3;
      else if (rest.includes(word)) total += 1;
      else return 0;
    }
    return total + (entry[1].startsWith("item") ? 0 : 0.5);
  }

  function show() {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    chosen = -1;
    list.replaceChildren();
    if (!words.length || !window.teachkitIndex) { close(); return; }
    const ranked = [];
    window.teachkitIndex.forEach((entry, place) => {
      const points = rank(entry, words);
      if (points) ranked.push([points, place, entry]);
    });
    ranked.sort((a, b) => b[0] - a[0] || a[1] - b[1]);
    ranked.slice(0, 12).forEach(([, , entry], number) => {
      const item = document.createElement("li");
      item.id = "found-" + number;
      item.setAttribute("role", "option");
      const link = document.createElement("a");
      link.href = root + entry[2];
      link.tabIndex = -1;
      const title = document.createElement("b");
      title.textContent = entry[0];
      const kind = document.createElement("small");
      kind.textContent = entry[1];
      const text = document.createElement("span");
      text.textContent = entry[3];
      link.append(title, " ", kind, text);
      item.append(link);
      list.append(item);
    });
    if (!ranked.length) {
      const item = document.createElement("li");
      item.className = "quiet";
      item.textContent = "nothing found";
      list.append(item);
    }
    list.hidden = false;
    input.setAttribute("aria-expanded", "true");
  }

  function close() {
    list.hidden = true;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  }

  function choose(step) {
    const items = list.querySelectorAll("[role=option]");
    if (!items.length) return;
    chosen = (chosen + step + items.length) % items.length;
    items.forEach((item, i) => item.setAttribute("aria-selected", String(i === chosen)));
    input.setAttribute("aria-activedescendant", items[chosen].id);
    items[chosen].scrollIntoView({ block: "nearest" });
  }

  input.addEventListener("focus", loadIndex);
  input.addEventListener("input", show);
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      choose(event.key === "ArrowDown" ? 1 : -1);
    } else if (event.key === "Enter") {
      const items = list.querySelectorAll("[role=option] a");
      const link = items[Math.max(chosen, 0)];
      if (link) location.href = link.href;
    } else if (event.key === "Escape") {
      close();
    }
  });
  document.addEventListener("click", (event) => { if (!event.target.closest(".search")) close(); });
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !event.target.closest("input, textarea, select")) {
      event.preventDefault();
      input.focus();
    }
  });

  // ---- tables that sort
  function valueOf(row, column) {
    const cell = row.cells[column];
    const text = cell.dataset.v !== undefined ? cell.dataset.v : cell.textContent.trim();
    const number = Number(text.replace(/,/g, ""));
    return text !== "" && !Number.isNaN(number) ? number : text.toLowerCase();
  }

  function compare(a, b) {
    if (typeof a === typeof b) return typeof a === "number" ? a - b : a.localeCompare(b);
    return typeof a === "number" ? -1 : 1;
  }

  document.querySelectorAll("table.sortable").forEach((table) => {
    table.querySelectorAll("thead th").forEach((head, column) => {
      if (head.dataset.unsorted !== undefined) return;
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending" ||
          (head.classList.contains("num") && head.getAttribute("aria-sort") === null);
        table.querySelectorAll("thead th").forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const body = table.tBodies[0];
        const rows = Array.from(body.rows).map((row) => [valueOf(row, column), row]);
        rows.sort((a, b) => (down ? compare(b[0], a[0]) : compare(a[0], b[0])));
        body.append(...rows.map((pair) => pair[1]));
      });
    });
  });

  // ---- tables that filter
  function filter(id) {
    const words = [];
    document.querySelectorAll(`[data-filter="${id}"]`).forEach((one) => {
      words.push(...one.value.toLowerCase().split(/\s+/).filter(Boolean));
    });
    const columns = Array.from(document.querySelectorAll(`[data-filter-column="${id}"]`)).filter((one) => one.value);
    const rows = Array.from(document.getElementById(id).tBodies[0].rows);
    let left = 0;
    rows.forEach((row) => {
      const text = row.textContent.toLowerCase();
      const fits = words.every((word) => text.includes(word)) &&
        columns.every((one) => row.cells[Number(one.dataset.column)].textContent.trim().split(", ").includes(one.value));
      row.hidden = !fits;
      left += fits ? 1 : 0;
    });
    document.querySelectorAll(`[data-count="${id}"]`).forEach((out) => {
      out.textContent = left === rows.length ? "" : `${left} of ${rows.length}`;
    });
  }
  document.querySelectorAll("[data-filter]").forEach((one) => one.addEventListener("input", () => filter(one.dataset.filter)));
  document.querySelectorAll("[data-filter-column]").forEach((one) => {
    one.addEventListener("change", () => filter(one.dataset.filterColumn));
  });
})();
