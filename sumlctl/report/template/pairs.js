// The list of pairs: searched, filtered and sorted as a whole, shown a page at a time.
"use strict";
(() => {
  const element = (id) => document.getElementById(id);
  if (!element("pairs-data")) return;
  const PER_PAGE = 20;
  const data = JSON.parse(element("pairs-data").textContent);
  const films = JSON.parse(element("films-data").textContent);
  const form = element("pair-filter");
  const list = element("pair-list");
  const pages = document.querySelector(".pages");
  const [back, onward] = pages.querySelectorAll("button");

  const said = (i) => data.said[data.said_at[i]];
  const told = (i) => data.told[data.told_at[i]];
  const partner = (i) => data.partners[data.partner_at[i]];
  const filmed = (i) => data.clips[i] in films && partner(i) in films;
  const every = data.clips.map((_, i) => i);
  const searched = every.map((i) =>
    [said(i), told(i), data.clips[i], partner(i)].join("\n").toLowerCase());

  // Pairs come most similar first; sorting is stable, so that equals stay in that order.
  const orders = {
    best: () => 0,
    worst: (a, b) => data.similarity[a] - data.similarity[b],
    said: (a, b) => said(a).localeCompare(said(b)),
    told: (a, b) => told(a).localeCompare(told(b)),
  };
  let shown = every;
  let page = 0;

  const choose = () => {
    const wanted = new FormData(form);
    const words = wanted.get("text").toLowerCase().split(/\s+/).filter(Boolean);
    const label = (column, choice) => (i) => !choice || data[column][i] === Number(choice);
    const verb = label("verb", wanted.get("verb"));
    const noun = label("noun", wanted.get("noun"));
    const preview = wanted.has("films") ? filmed : () => true;
    shown = every
      .filter((i) => preview(i) && verb(i) && noun(i) && words.every((w) => searched[i].includes(w)))
      .sort(orders[wanted.get("order")]);
    page = 0;
    show();
  };

  const show = () => {
    const first = page * PER_PAGE;
    const last = Math.ceil(shown.length / PER_PAGE);
    list.replaceChildren(...shown.slice(first, first + PER_PAGE).map(row));
    const count = shown.length.toLocaleString("en");
    const total = every.length.toLocaleString("en");
    element("pair-count").textContent =
      shown.length === every.length ? `${total} pairs` : `${count} of ${total} pairs`;
    pages.hidden = last < 2;
    pages.querySelector("span").textContent = `page ${page + 1} of ${last.toLocaleString("en")}`;
    back.disabled = page === 0;
    onward.disabled = page >= last - 1;
  };

  const decimal = (thousandths) => (thousandths / 1000).toFixed(3);
  const agreement = (i) =>
    ["verb", "noun"].filter((kind) => data[kind][i] >= 0).flatMap((kind) => {
      const line = document.createElement("span");
      line.textContent = `${data[kind][i] ? "same" : "other"} ${kind}`;
      return [line, " "];
    });

  const row = (i) => {
    const item = element("pair-row").content.cloneNode(true);
    const at = (selector) => item.querySelector(selector);
    at(".words .fpv .text").textContent = said(i);
    at(".words .fpv code").textContent = data.clips[i];
    at(".words .tpv .text").textContent = told(i);
    at(".words .tpv code").textContent = partner(i);
    at(".similarity").textContent = decimal(data.similarity[i]);
    at(".bar").style.setProperty("--share", Math.max(data.similarity[i] / 1000, 0));
    at(".agree").append(...agreement(i));
    const near = data.near[data.said_at[i]];
    for (const [place, similarity] of near) {
      const figure = document.createElement("b");
      figure.textContent = decimal(similarity);
      at(".near .list").append(at(".near .list").hasChildNodes() ? "; " : "",
        `${data.told[place]} `, figure);
    }
    if (!near.length) at(".near").remove();
    const button = at(".films");
    button.setAttribute("aria-label", `Play “${said(i)}” beside “${told(i)}”`);
    place(at(".film.fpv"), films[data.clips[i]]);
    place(at(".film.tpv"), films[partner(i)]);
    button.addEventListener("click", () => {
      button.ariaPressed = button.ariaPressed === "true" ? "false" : "true";
    });
    return item;
  };

  const place = (film, sheet) => {
    if (!sheet) {
      film.replaceWith(Object.assign(document.createElement("span"),
        { className: "none", textContent: "no preview" }));
      return;
    }
    const [source, frames, width, height, seconds] = sheet;
    film.style.backgroundImage = `url(${source})`;
    film.style.aspectRatio = `${width} / ${height}`;
    film.style.setProperty("--ratio", width / height);
    film.style.setProperty("--frames", frames);
    film.style.setProperty("--seconds", `${seconds}s`);
  };

  form.hidden = false;
  form.addEventListener("input", choose);
  form.addEventListener("submit", (event) => event.preventDefault());
  for (const button of [back, onward]) {
    button.addEventListener("click", () => {
      page += Number(button.dataset.turn);
      show();
      element("pair-count").scrollIntoView({ block: "center" });
    });
  }
  choose();
})();
