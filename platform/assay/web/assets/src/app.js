import "htmx.org";
import { askBefore } from "./confirm.js";
import { announceCopies } from "./copy.js";
import { keepLiveListsCalm, markMoves } from "./live.js";
import { leaveFor } from "./leave.js";
import { localTimes } from "./times.js";
import { uploadWithProgress } from "./upload.js";

document.documentElement.classList.add("js");
announceCopies(document);
askBefore(document);
uploadWithProgress(document);
keepLiveListsCalm(document);
markMoves(document);
leaveFor(document);
localTimes(document);
document.addEventListener("htmx:after:swap", () => localTimes(document));
