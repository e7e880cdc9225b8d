"use strict";

// Tables: a heading sorts, a field above hides the rows without its text.
const numberIn = (text) => parseFloat(text.replaceAll(",", "").replace("\u2212", "-"));
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, place) => {
    if (!heading.textContent) return;
    const isNumber = heading.classList.contains("number");
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = heading.textContent;
    heading.replaceChildren(button);
    button.addEventListener("click", () => {
      const before = heading.getAttribute("aria-sort");
      const first = isNumber ? "descending" : "ascending";
      const other = isNumber ? "ascending" : "descending";
      const order = before === first ? other : first;
      for (const each of headings) each.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", order);
      const sign = order === "ascending" ? 1 : -1;
      const keys = new Map([...body.rows].map((row) => [row, row.cells[place].textContent]));
      const compare = (one, two) => {
        const [a, b] = [keys.get(one), keys.get(two)];
        if (!isNumber) return sign * a.localeCompare(b, undefined, { numeric: true });
        const [x, y] = [numberIn(a), numberIn(b)];
        if (isNaN(x) || isNaN(y)) return isNaN(x) - isNaN(y); // what is no number comes last
        return sign * (x - y);
      };
      body.append(...[...body.rows].sort(compare));
    });
  });
}
for (const filter of document.querySelectorAll(".filter")) {
  const rows = [...filter.nextElementSibling.querySelector("tbody").rows];
  const status = filter.querySelector("[role=status]");
  filter.hidden = false;
  filter.querySelector("input").addEventListener("input", (event) => {
    const wanted = event.target.value.toLocaleLowerCase();
    for (const row of rows) row.hidden = !row.textContent.toLocaleLowerCase().includes(wanted);
    const left = rows.filter((row) => !row.hidden).length;
    status.textContent = wanted ? `${left} of ${rows.length} rows` : "";
  });
}

// Players: a word plays itself; what is being played is marked; one plays at a time.
for (const utterance of document.querySelectorAll(".utterance")) {
  const audio = utterance.querySelector("audio");
  if (!audio) continue;
  const words = [...utterance.querySelectorAll("button[data-start]")];
  let until = Infinity;
  const follow = () => {
    const now = audio.currentTime;
    if (now >= until) audio.pause();
    for (const word of words) {
      const isNow = !audio.paused && word.dataset.start <= now && now < word.dataset.end;
      word.classList.toggle("now", isNow);
    }
    if (!audio.paused) requestAnimationFrame(follow);
  };
  audio.addEventListener("play", () => {
    for (const other of document.querySelectorAll("audio")) if (other !== audio) other.pause();
    follow();
  });
  audio.addEventListener("pause", () => {
    until = Infinity;
    follow();
  });
  for (const word of words) {
    word.addEventListener("click", () => {
      audio.currentTime = Number(word.dataset.start);
      until = Number(word.dataset.end);
      audio.play();
    });
  }
}
