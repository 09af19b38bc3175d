/** Buttons with data-copy="<selector>" put that element's text on the clipboard. */
export function announceCopies(root) {
  root.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const source = root.querySelector(button.dataset.copy);
    const label = button.dataset.label ?? (button.dataset.label = button.textContent);
    button.textContent = (await copied(source)) ? "Copied" : "Press Ctrl+C";
    setTimeout(() => (button.textContent = label), 2000);
  });
}

// The clipboard is only there on https and localhost; elsewhere the text is selected for the person to copy.
async function copied(source) {
  try {
    await navigator.clipboard.writeText(source.textContent.trim());
    return true;
  } catch {
    window.getSelection().selectAllChildren(source);
    return false;
  }
}
