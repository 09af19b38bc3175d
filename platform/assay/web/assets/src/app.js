import "htmx.org";
import { askBefore } from "./confirm.js";
import { announceCopies } from "./copy.js";
import { keepLiveListsCalm, markMoves } from "./live.js";
import { leaveFor } from "./leave.js";
import { askForPasskeys } from "./passkeys.js";
import { localTimes } from "./times.js";
import { uploadInParts } from "./upload.js";

document.documentElement.classList.add("js");
announceCopies(document);
askBefore(document);
uploadInParts(document);
keepLiveListsCalm(document);
markMoves(document);
leaveFor(document);
askForPasskeys(document);
localTimes(document);
document.addEventListener("htmx:after:swap", () => localTimes(document));
