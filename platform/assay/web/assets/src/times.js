const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });

/** Instants come in UTC; the tooltip says them in the reader's own zone. */
export function localTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]:not([title])")) {
    time.title = exact.format(new Date(time.dateTime));
  }
}
