/**
 * Forms with data-passkey="create" or "get" ask the browser for a passkey when they are sent: what it is asked comes from
 * data-options, what it answers goes into the form's field "credential". Where a browser has no passkeys they stay hidden.
 */
export function askForPasskeys(root) {
  const forms = root.querySelectorAll("form[data-passkey]");
  if (!window.PublicKeyCredential) return;
  for (const form of forms) {
    form.hidden = false;
    form.addEventListener("submit", (event) => {
      if (form.elements.credential.value) return;
      event.preventDefault();
      fill(form);
    });
  }
}

async function fill(form) {
  const button = form.querySelector("button");
  button.disabled = true;
  tell(form, "");
  try {
    const options = await optionsOf(form);
    const credential = form.dataset.passkey === "create" ? await create(options) : await get(options);
    form.elements.credential.value = JSON.stringify(credential);
    form.requestSubmit();
  } catch (error) {
    tell(form, sentenceOf(error));
  } finally {
    button.disabled = false;
  }
}

async function optionsOf(form) {
  const answer = await fetch(form.dataset.options, {
    method: "POST",
    headers: { "X-CSRFToken": form.elements.csrf_token.value, Accept: "application/json" },
  });
  if (answer.redirected || !answer.headers.get("Content-Type")?.startsWith("application/json")) {
    throw new Refused("This page was open too long. Load it again.");
  }
  const said = await answer.json();
  if (!answer.ok) throw new Refused(said.message);
  return said;
}

async function create({ challenge, user, excludeCredentials, ...others }) {
  const made = await navigator.credentials.create({
    publicKey: {
      ...others,
      challenge: bytes(challenge),
      user: { ...user, id: bytes(user.id) },
      excludeCredentials: excludeCredentials.map(withBytes),
    },
  });
  return {
    ...common(made),
    response: {
      clientDataJSON: text(made.response.clientDataJSON),
      attestationObject: text(made.response.attestationObject),
      transports: made.response.getTransports?.() ?? [],
    },
  };
}

async function get({ challenge, allowCredentials, ...others }) {
  const used = await navigator.credentials.get({
    publicKey: { ...others, challenge: bytes(challenge), allowCredentials: allowCredentials.map(withBytes) },
  });
  const { clientDataJSON, authenticatorData, signature, userHandle } = used.response;
  return {
    ...common(used),
    response: {
      clientDataJSON: text(clientDataJSON),
      authenticatorData: text(authenticatorData),
      signature: text(signature),
      userHandle: userHandle?.byteLength ? text(userHandle) : null,
    },
  };
}

const common = ({ id, rawId, type }) => ({ id, rawId: text(rawId), type });
const withBytes = (described) => ({ ...described, id: bytes(described.id) });

// Browsers do this by themselves only since 2025.
function bytes(base64url) {
  return Uint8Array.from(atob(base64url.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
}

function text(buffer) {
  const letters = Array.from(new Uint8Array(buffer), (byte) => String.fromCharCode(byte)).join("");
  return btoa(letters).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

class Refused extends Error {}

function sentenceOf(error) {
  if (error instanceof Refused) return error.message;
  if (error.name === "InvalidStateError") return "This device has a passkey of yours already.";
  if (error.name === "NotAllowedError") return "No passkey was given. Try again when you are ready.";
  if (error.name === "SecurityError") return "Passkeys do not work at this address. They need https, or localhost.";
  return "The passkey could not be used. Try again, or prove it is you in another way.";
}

function tell(form, sentence) {
  const place = form.querySelector("[data-passkey-wrong]");
  place.textContent = sentence;
  place.hidden = !sentence;
}
