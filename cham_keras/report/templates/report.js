"use strict";

/* The clips behind the cells of the confusion matrix, tables that sort, films that play. */

const stored = JSON.parse(document.getElementById("clips").textContent);
const percent = (share) => `${(100 * share).toFixed(1)}\u00a0%`;
const clipsCounted = (count) => `${count} ${count === 1 ? "clip" : "clips"}`;

function setUpMatrix() {
  const matrix = document.querySelector(".matrix");
  const rows = Array.from(matrix.tBodies[0].rows, (row) => Array.from(row.querySelectorAll("button")));
  const columnHeads = Array.from(matrix.tHead.rows[0].cells).slice(1);
  const rowHeads = Array.from(matrix.tBodies[0].rows, (row) => row.cells[0]);
  const ofCell = new Map();
  for (const clip of stored.clips) {
    const key = `${clip[1]} ${clip[2]}`;
    if (!ofCell.has(key)) ofCell.set(key, []);
    ofCell.get(key).push(clip);
  }
  const totals = rows.map((cells, row) =>
    cells.reduce((sum, _, column) => sum + (ofCell.get(`${row} ${column}`) || []).length, 0));
  let here = [0, 0];
  let chosen = null;

  const inWords = (row, column) => {
    const label = stored.classes[row];
    const count = (ofCell.get(`${row} ${column}`) || []).length;
    const share = totals[row] ? `, ${percent(count / totals[row])} of ${label}` : "";
    const what = row === column ? `${label}, recognised` : `${label}, taken for ${stored.classes[column]}`;
    return `${what}: ${clipsCounted(count)}${share}`;
  };

  function moveTo(row, column, withFocus) {
    const [oldRow, oldColumn] = here;
    rows[oldRow][oldColumn].tabIndex = -1;
    rowHeads[oldRow].classList.remove("here");
    columnHeads[oldColumn].classList.remove("here");
    here = [row, column];
    const button = rows[row][column];
    button.tabIndex = 0;
    if (withFocus) {
      button.focus();
    }
    if (document.activeElement === button) {
      rowHeads[row].classList.add("here");
      columnHeads[column].classList.add("here");
    }
  }

  function choose(row, column) {
    if (chosen) chosen.setAttribute("aria-pressed", "false");
    chosen = rows[row][column];
    chosen.setAttribute("aria-pressed", "true");
    const clips = (ofCell.get(`${row} ${column}`) || []).slice();
    clips.sort((one, other) => other[3][0][1] - one[3][0][1]);
    const words = inWords(row, column);
    document.getElementById("cell-title").textContent = words;
    document.getElementById("cell-clips").replaceChildren(...clips.map((clip) => {
      const line = document.createElement("tr");
      const name = line.insertCell();
      const code = document.createElement("code");
      code.textContent = clip[0];
      name.append(code);
      line.insertCell().textContent =
        clip[3].map(([index, share]) => `${stored.classes[index]} ${percent(share)}`).join(", ");
      return line;
    }));
    const panel = document.getElementById("cell");
    panel.hidden = false;
    panel.querySelector(".scroll").hidden = clips.length === 0;
    document.getElementById("announcement").textContent =
      clips.length ? `${words}. Listed below the matrix.` : words;
    panel.scrollIntoView({ block: "nearest" });
  }

  rows.forEach((cells, row) => cells.forEach((button, column) => {
    button.setAttribute("aria-label", inWords(row, column));
    button.setAttribute("aria-pressed", "false");
    button.title = inWords(row, column);
    button.addEventListener("click", () => { moveTo(row, column, true); choose(row, column); });
    button.addEventListener("focus", () => moveTo(row, column, false));
    button.addEventListener("blur", () => {
      rowHeads[row].classList.remove("here");
      columnHeads[column].classList.remove("here");
    });
  }));
  rows[0][0].tabIndex = 0;

  matrix.addEventListener("keydown", (event) => {
    const [row, column] = here;
    const last = rows.length - 1;
    const moves = {
      ArrowUp: [Math.max(0, row - 1), column],
      ArrowDown: [Math.min(last, row + 1), column],
      ArrowLeft: [row, Math.max(0, column - 1)],
      ArrowRight: [row, Math.min(last, column + 1)],
      Home: [event.ctrlKey ? 0 : row, 0],
      End: [event.ctrlKey ? last : row, last],
    };
    if (event.key in moves && !event.altKey && !event.metaKey) {
      event.preventDefault();
      moveTo(...moves[event.key], true);
    }
  });
}

function setUpSorting(table) {
  const heads = Array.from(table.tHead.rows[0].cells);
  heads.forEach((head, column) => {
    const button = head.querySelector("button");
    if (!button) return;
    button.addEventListener("click", () => {
      const ascending = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach((other) => { if (other.hasAttribute("aria-sort")) other.setAttribute("aria-sort", "none"); });
      head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
      const valueOf = (row) => row.cells[column].dataset.value;
      const compare = column === 0
        ? (one, other) => valueOf(one).localeCompare(valueOf(other))
        : (one, other) => Number(valueOf(one)) - Number(valueOf(other));
      const lines = Array.from(table.tBodies[0].rows).sort(compare);
      table.tBodies[0].append(...(ascending ? lines : lines.reverse()));
    });
  });
}

function setUpFilms() {
  const still = window.matchMedia("(prefers-reduced-motion: reduce)");
  // A film plays while it is in sight, unless whoever looks has stopped it or wants no motion.
  const stopped = new Set();
  const inSight = new Set();
  const watcher = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) {
        inSight.add(target);
        if (!still.matches && !stopped.has(target)) target.play().catch(() => {});
      } else if (inSight.delete(target)) {
        if (target.paused) stopped.add(target);
        else stopped.delete(target);
        target.pause();
      }
    }
  }, { threshold: 0.5 });
  for (const film of document.querySelectorAll("video")) {
    const now = film.parentElement.querySelector(".now");
    const width = film.parentElement.querySelector(".means").viewBox.baseVal.width;
    const follow = () => {
      const place = film.duration ? (width * film.currentTime) / film.duration : 0;
      now.setAttribute("x1", place);
      now.setAttribute("x2", place);
      if (!film.paused) requestAnimationFrame(follow);
    };
    film.addEventListener("play", follow);
    film.addEventListener("seeked", follow);
    watcher.observe(film);
  }
}

setUpMatrix();
document.querySelectorAll(".sortable").forEach(setUpSorting);
setUpFilms();
