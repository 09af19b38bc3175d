/** A page that answered a form with a secret: a reload must not send the form again. */
export function leaveFor(root) {
  const address = root.querySelector("main")?.dataset.leaveFor;
  if (address) window.history.replaceState(null, "", address);
}
