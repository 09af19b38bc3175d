/** On a narrow screen the bar scrolls: where one is must not be out of sight. */
export function showWhereWeAre(root) {
  const nav = root.querySelector(".nav");
  const here = nav?.querySelector("[aria-current]");
  if (here) nav.scrollLeft = here.offsetLeft - (nav.clientWidth - here.offsetWidth) / 2;
}
