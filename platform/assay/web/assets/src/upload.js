/** Forms with data-upload send their file with a progress bar; without script they post as they are. */
export function uploadWithProgress(root) {
  root.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.matches("form[data-upload]")) return;
    event.preventDefault();
    send(form, event.submitter);
  });
}

// fetch() can't tell how much of a body has been sent; XMLHttpRequest can.
function send(form, button) {
  const request = new XMLHttpRequest();
  const status = form.querySelector("[data-upload-status]");
  const bar = status.querySelector("progress");
  const words = status.querySelector("[data-upload-words]");
  status.hidden = false;
  button.disabled = true;

  request.upload.addEventListener("progress", ({ loaded, total, lengthComputable }) => {
    if (!lengthComputable) return;
    bar.value = loaded / total;
    words.textContent = loaded < total ? `Sending: ${Math.floor((100 * loaded) / total)} %` : "Sent. Reading the first rows…";
  });
  request.addEventListener("load", () => {
    if (request.status < 400) return window.location.assign(request.responseURL);
    const page = new DOMParser().parseFromString(request.responseText, "text/html");
    document.querySelector("main").replaceWith(page.querySelector("main"));
    document.querySelector("main [aria-invalid], main [role=alert]")?.focus();
  });
  request.addEventListener("error", () => {
    words.textContent = "The connection broke. Nothing was imported; send the file again.";
    button.disabled = false;
  });
  request.open("POST", form.action);
  request.send(new FormData(form));
}
