/** Lists with data-live refresh themselves, but not in a hidden tab and not once somebody has read on past the first page. */
export function keepLiveListsCalm(root) {
  root.addEventListener("htmx:before:request", (event) => {
    const { sourceElement } = event.detail.ctx;
    const list = sourceElement.closest("[data-live]");
    if (!list) return;
    if (sourceElement !== list) list.dataset.readOn = "yes";
    else if (root.hidden || list.dataset.readOn) event.preventDefault();
  });
}

/** Rows whose score has moved since the list last refreshed itself say so until its next refresh. */
export function markMoves(root) {
  let before = totals(root);
  root.addEventListener("htmx:after:swap", (event) => {
    const now = totals(root);
    const refreshed = event.detail.ctx.sourceElement.matches("[data-live]");
    for (const [row, total] of now) {
      if (refreshed && before.has(row) && before.get(row) !== total) {
        document.getElementById(row).dataset.moved = before.get(row) < total ? "up" : "down";
      }
    }
    before = now;
  });
}

function totals(root) {
  return new Map([...root.querySelectorAll("[data-live] tr[data-total]")].map((row) => [row.id, Number(row.dataset.total)]));
}
