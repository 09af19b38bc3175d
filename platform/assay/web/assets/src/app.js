import "htmx.org";
import { announceCopies } from "./copy.js";
import { askBefore } from "./confirm.js";
import { localTimes } from "./times.js";
import { uploadWithProgress } from "./upload.js";

document.documentElement.classList.add("js");
announceCopies(document);
askBefore(document);
uploadWithProgress(document);
localTimes(document);
document.addEventListener("htmx:after:swap", () => localTimes(document));

// A session that ended answers a fragment with the whole log-in page: go there instead of swapping it in.
document.addEventListener("htmx:before:response", (event) => {
  const { raw } = event.detail.ctx.response;
  if (raw.redirected && new URL(raw.url).pathname === "/log-in") {
    event.preventDefault();
    window.location.assign(raw.url);
  }
});
