// The page without its pairs: theme, tables that sort, figures that save, copying, printing.
"use strict";
(() => {
  const $ = (selector) => document.querySelector(selector);
  const $$ = (selector) => [...document.querySelectorAll(selector)];

  // A page opened from disk may be refused a place to remember things.
  const memory = {
    get() { try { return localStorage.getItem("sumlctl-theme"); } catch { return null; } },
    set(theme) { try { localStorage.setItem("sumlctl-theme", theme); } catch { /* forgotten */ } },
  };
  const themes = ["auto", "light", "dark"];
  const button = $("#theme");
  const show = (theme) => {
    document.documentElement.dataset.theme = theme;
    button.querySelector("span").textContent = theme;
  };
  show(themes.includes(memory.get()) ? memory.get() : "auto");
  button.hidden = false;
  button.addEventListener("click", () => {
    const now = document.documentElement.dataset.theme;
    const next = themes[(themes.indexOf(now) + 1) % themes.length];
    show(next);
    memory.set(next);
  });

  const value = (row, column) => {
    const cell = row.cells[column];
    return "value" in cell.dataset ? Number(cell.dataset.value) : cell.textContent.trim();
  };
  const compare = (a, b) =>
    typeof a === "number" && typeof b === "number"
      ? a - b
      : String(a).localeCompare(String(b), undefined, { numeric: true });
  for (const head of $$("thead th")) {
    if (!head.textContent.trim()) continue;
    const sorter = document.createElement("button");
    sorter.type = "button";
    sorter.append(...head.childNodes);
    head.append(sorter);
    sorter.addEventListener("click", () => {
      const body = head.closest("table").tBodies[0];
      const first = head.classList.contains("number") ? "descending" : "ascending";
      const other = first === "ascending" ? "descending" : "ascending";
      const order = head.getAttribute("aria-sort") === first ? other : first;
      for (const one of head.parentNode.cells) one.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", order);
      const sign = order === "ascending" ? 1 : -1;
      const column = head.cellIndex;
      const rows = [...body.rows];
      rows.sort((a, b) => sign * compare(value(a, column), value(b, column)));
      body.append(...rows);
    });
  }

  const save = (name, kind, text) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: kind }));
    link.download = name;
    link.click();
    URL.revokeObjectURL(link.href);
  };
  const tables = JSON.parse($("#csv").textContent);
  // A saved figure stands alone: it takes the light theme's colours, which are the fallbacks.
  const alone = (svg) =>
    '<?xml version="1.0" encoding="utf-8"?>\n' +
    new XMLSerializer().serializeToString(svg).replace(/var\(--[\w-]+, (#\w+)\)/g, "$1");
  for (const one of $$("[data-save]")) {
    one.addEventListener("click", () => {
      const chart = one.closest(".chart");
      const name = chart.dataset.name;
      if (one.dataset.save === "csv") {
        save(`${name}.csv`, "text/csv", tables[name]);
      } else {
        const shown = [...chart.querySelectorAll(".plot")].find((plot) => plot.offsetParent);
        save(`${name}.svg`, "image/svg+xml", alone(shown.querySelector("svg")));
      }
    });
  }

  const scale = $("#scale");
  if (scale) {
    scale.hidden = false;
    scale.addEventListener("change", (event) => {
      $("#training").classList.toggle("logarithmic", event.target.value === "log");
    });
  }

  const copy = $("#copy");
  copy.hidden = false;
  copy.addEventListener("click", async () => {
    const commands = $("#commands");
    try {
      await navigator.clipboard.writeText(commands.textContent);
    } catch { // not allowed here: the older way
      getSelection().selectAllChildren(commands);
      document.execCommand("copy");
    }
    copy.textContent = "Copied";
    setTimeout(() => { copy.textContent = "Copy"; }, 1500);
  });

  let opened = [];
  addEventListener("beforeprint", () => {
    opened = $$("section > details:not([open]), .datasets details:not([open])");
    for (const one of opened) one.open = true;
  });
  addEventListener("afterprint", () => {
    for (const one of opened) one.open = false;
  });

  const links = new Map($$("header nav a").map((link) => [link.hash.slice(1), link]));
  const watcher = new IntersectionObserver((seen) => {
    for (const { target, isIntersecting } of seen) {
      if (!isIntersecting) continue;
      for (const link of links.values()) link.removeAttribute("aria-current");
      links.get(target.id)?.setAttribute("aria-current", "true");
    }
  }, { rootMargin: "-20% 0px -75% 0px" });
  for (const section of $$("main > section")) watcher.observe(section);
})();
