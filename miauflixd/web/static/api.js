// Talking to the appliance: every question goes through here, and every refusal is a sentence.

export class Refused extends Error {
  constructor(sentence, { status, code }) {
    super(sentence);
    Object.assign(this, { status, code });
  }
}

let signedOut = () => {};

/** Have this called when nobody is signed in any more. */
export function onSignedOut(call) {
  signedOut = call;
}

/** Ask, and return the answer, or throw an Error with a sentence for a person. */
export async function ask(path, options) {
  const response = await send(path, options);
  if (response.ok) return response;
  const refused = await refusal(response);
  // A token is good for a quarter of an hour; the cookie beside it gets the next one.
  if (refused.status !== 401 || path.startsWith("/api/auth/")) throw refused;
  if (!(await renewed())) {
    signedOut();
    throw refused;
  }
  const again = await send(path, options);
  if (again.ok) return again;
  throw await refusal(again);
}

/** Ask for something in JSON. */
export async function get(path, options) {
  return (await ask(path, options)).json();
}

export const json = (value, method = "POST") => ({
  method,
  body: JSON.stringify(value),
  headers: { "Content-Type": "application/json" },
});

async function send(path, options) {
  try {
    return await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The appliance does not answer. Is it switched on, and are you at home?");
  }
}

let renewing = null;

/** Exchange the cookies for new ones, once however many ask at the same time; say whether it worked. */
function renewed() {
  renewing ??= send("/api/auth/refresh", { method: "POST" })
    .then((response) => response.ok, () => false)
    .finally(() => { renewing = null; });
  return renewing;
}

async function refusal(response) {
  try {
    const problem = await response.json();
    const named = (problem.errors ?? []).map((one) => one.message).join(" ");
    return new Refused(named || problem.detail || problem.title, problem);
  } catch {
    return new Refused("The appliance gave an answer that this page does not understand.", response);
  }
}
