/** Forms with data-confirm ask first, in the page's own dialog. */
export function askBefore(root) {
  root.addEventListener("submit", (event) => {
    const form = event.target;
    const question = event.submitter?.dataset.confirm ?? form.dataset.confirm;
    if (!question || form.dataset.confirmed) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    ask(question, event.submitter?.textContent.trim() ?? "Go on").then((agreed) => {
      if (!agreed) return;
      form.dataset.confirmed = "yes";
      form.requestSubmit(event.submitter);
      delete form.dataset.confirmed;
    });
  }, true);
}

function ask(question, verb) {
  const dialog = document.createElement("dialog");
  dialog.className = "dialog";
  const text = Object.assign(document.createElement("p"), { textContent: question });
  const answers = Object.assign(document.createElement("form"), { method: "dialog", className: "row row-end" });
  answers.append(
    Object.assign(document.createElement("button"), { className: "button button-quiet", value: "", textContent: "Cancel" }),
    Object.assign(document.createElement("button"), { className: "button", value: "yes", textContent: verb }),
  );
  dialog.append(text, answers);
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
  });
}
