/** Forms with data-upload send their file in parts and go on by themselves when the connection breaks; without script
 * they post as they are. */
export function uploadInParts(root) {
  root.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.matches("form[data-upload]")) return;
    event.preventDefault();
    new Upload(form, event.submitter).run();
  });
}

const PART = 4 * 1024 * 1024;
const PATIENCE_MS = 10 * 60 * 1000;
const LONGEST_PAUSE_MS = 20_000;

class Refused extends Error {}

class Upload {
  constructor(form, button) {
    this.form = form;
    this.button = button;
    this.file = form.querySelector("input[type=file]").files[0];
    this.token = form.elements.csrf_token.value;
    const status = form.querySelector("[data-upload-status]");
    status.hidden = false;
    this.bar = status.querySelector("progress");
    this.words = status.querySelector("[data-upload-words]");
    const kind = new FormData(form).get("kind");
    this.memory = `assay-upload:${kind}:${this.file.name}:${this.file.size}:${this.file.lastModified}`;
  }

  async run() {
    this.button.disabled = true;
    try {
      const { upload, page } = (await this.remembered()) ?? (await this.announce());
      await this.send(upload);
      localStorage.removeItem(this.memory);
      window.location.assign(page);
    } catch (error) {
      this.say(error instanceof Refused ? error.message : "The connection is gone. Choose the same file again later: the upload goes on where it was.");
      this.button.disabled = false;
    }
  }

  /** Where this very file went before, if it has not come to its end. */
  async remembered() {
    const before = JSON.parse(localStorage.getItem(this.memory) ?? "null");
    if (!before) return null;
    const answer = await fetch(before.upload, { method: "HEAD" }).catch(() => null);
    if (answer?.ok && Number(answer.headers.get("Upload-Length")) === this.file.size) return before;
    if (answer) localStorage.removeItem(this.memory);
    return null;
  }

  async announce() {
    const fields = new FormData(this.form);
    fields.delete("file");
    fields.set("filename", this.file.name);
    fields.set("size", this.file.size);
    const answer = await fetch(this.form.dataset.upload, { method: "POST", body: new URLSearchParams(fields), headers: { "X-CSRFToken": this.token } });
    const told = await answer.json().catch(() => ({ message: "The file was not accepted. Load the page again and resend it." }));
    if (!answer.ok) throw new Refused(told.message);
    localStorage.setItem(this.memory, JSON.stringify(told));
    return told;
  }

  async send(address) {
    let offset = 0;
    let lost = null;
    let pause = 500;
    while (true) {
      try {
        if (offset === 0 || lost) offset = await this.offset(address);
        if (offset >= this.file.size) return;
        const told = await this.part(address, offset);
        offset = told.offset;
        lost = null;
        pause = 500;
        if (told.is_over) return;
      } catch (error) {
        if (error instanceof Refused) throw error;
        lost ??= Date.now();
        if (Date.now() - lost > PATIENCE_MS) throw error;
        this.say(`The connection broke. Trying again…`);
        await new Promise((resolve) => setTimeout(resolve, pause));
        pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
      }
    }
  }

  async offset(address) {
    const answer = await fetch(address, { method: "HEAD" });
    if (answer.status === 404) {
      localStorage.removeItem(this.memory);
      throw new Refused("This upload is no longer there. Send the file again.");
    }
    if (!answer.ok) throw new Error(answer.status);
    return Number(answer.headers.get("Upload-Offset"));
  }

  // fetch() can't tell how much of a body has been sent; XMLHttpRequest can.
  part(address, offset) {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      const part = this.file.slice(offset, offset + PART);
      request.upload.addEventListener("progress", ({ loaded }) => this.show(offset + Math.min(loaded, part.size)));
      request.addEventListener("error", () => reject(new Error("network")));
      request.addEventListener("load", () => {
        if (request.status < 300) return resolve(JSON.parse(request.responseText));
        if (request.status === 400) return reject(new Refused("The page was open too long. Load it again and choose the same file: the upload goes on where it was."));
        if (request.status === 422) return reject(new Refused("The file changed while it was sent. Send it again."));
        // 409: another part came first, or this one came already; where to go on is asked anew.
        return reject(new Error(request.status));
      });
      request.open("PATCH", address);
      request.setRequestHeader("Content-Type", "application/offset+octet-stream");
      request.setRequestHeader("Upload-Offset", offset);
      request.setRequestHeader("X-CSRFToken", this.token);
      request.send(part);
    });
  }

  show(sent) {
    this.bar.value = sent / this.file.size;
    this.say(sent < this.file.size ? `Sending: ${Math.floor((100 * sent) / this.file.size)} %` : "Sent. Looking at the first rows…");
  }

  say(words) {
    this.words.textContent = words;
  }
}
