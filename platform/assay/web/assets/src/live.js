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
