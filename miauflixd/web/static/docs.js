// The description of the API, made readable. Whatever is in it is shown as text, never as markup.

const $ = (id) => document.getElementById(id);

const WHO = {
  open: "everybody",
  user: "whoever is signed in",
  admin: "administrators",
  stream: "a stream key, or whoever is signed in",
  metrics: "a key for metrics, or this machine",
};

/** An element with these properties and children; a text child is text. */
function el(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

const nameOf = (reference) => reference.split("/").pop();
const link = (name) => el("a", { href: `#type-${name}` }, name);

/** What a schema allows, in a line: words, and links to the types that it names. */
function words(schema) {
  if (!schema || Object.keys(schema).length === 0) return ["bytes"];
  if (schema.$ref) return [link(nameOf(schema.$ref))];
  if (schema.anyOf) return schema.anyOf.flatMap((one, at) => (at ? [" or ", ...words(one)] : words(one)));
  if (schema.enum) return [schema.enum.map((one) => JSON.stringify(one)).join(", ")];
  if ("const" in schema) return [JSON.stringify(schema.const)];
  if (schema.type === "array") return ["list of ", ...(schema.items ? words(schema.items) : ["anything"])];
  const bounds = [
    ["format", (value) => value],
    ["minimum", (value) => `at least ${value}`],
    ["maximum", (value) => `at most ${value}`],
    ["minLength", (value) => `at least ${value} characters`],
    ["maxLength", (value) => `at most ${value} characters`],
    ["default", (value) => `${JSON.stringify(value)} by default`],
  ];
  const said = bounds.filter(([key]) => key in schema).map(([key, say]) => say(schema[key]));
  return [[schema.type ?? "anything", ...said].join(", ")];
}

function table(rows) {
  return el("table", {}, ...rows.map(([left, ...right]) => el("tr", {}, el("td", {}, el("code", {}, left)), el("td", {}, ...right))));
}

function fields(schema) {
  const needed = new Set(schema.required ?? []);
  return table(Object.entries(schema.properties ?? {}).map(([name, one]) => [name, ...words(one), el("span", { className: "dim" }, needed.has(name) ? "" : " (may be missing)")]));
}

function contents(content) {
  return Object.entries(content ?? {}).flatMap(([media, { schema }]) => [el("span", { className: "dim" }, ` ${media}: `), ...words(schema)]);
}

function operation(method, path, one, description) {
  const parts = [];
  if (one.parameters) {
    parts.push(el("h3", {}, "Parameters"), table(one.parameters.map((each) => [each.name, ...words(each.schema), el("span", { className: "dim" }, ` (in the ${each.in}${each.required ? "" : ", may be missing"})`)])));
  }
  if (one.requestBody) parts.push(el("h3", {}, "Body"), el("p", {}, ...contents(one.requestBody.content)));
  const answers = Object.entries(one.responses).map(([status, answer]) => {
    const full = answer.$ref ? description.components.responses[nameOf(answer.$ref)] : answer;
    return [status, full.description, ...contents(full.content)];
  });
  parts.push(el("h3", {}, "Answers"), table(answers));
  const head = el("summary", {}, el("span", { className: "method" }, method.toUpperCase()), el("span", { className: "path" }, path), el("span", { className: "summary" }, one.summary));
  return el("details", { id: one.operationId }, head, el("p", { className: "dim" }, `For ${WHO[one["x-policy"]] ?? one["x-policy"]}.`), ...parts);
}

function show(description) {
  $("version").textContent = description.info.version;
  $("about").textContent = description.info.description;
  const groups = new Map();
  for (const [path, methods] of Object.entries(description.paths)) {
    for (const [method, one] of Object.entries(methods)) {
      const tag = one.tags[0];
      if (!groups.has(tag)) groups.set(tag, []);
      groups.get(tag).push(operation(method, path, one, description));
    }
  }
  for (const [tag, operations] of groups) $("operations").append(el("section", {}, el("h2", {}, tag), ...operations));
  for (const [name, schema] of Object.entries(description.components.schemas)) {
    $("schemas").append(el("details", { id: `type-${name}` }, el("summary", {}, name), el("p", { className: "dim" }, schema.description ?? ""), schema.properties ? fields(schema) : el("p", {}, ...words(schema))));
  }
}

/** Open what an address names behind its #. */
function reveal() {
  const found = $(decodeURIComponent(location.hash.slice(1)));
  if (found?.tagName === "DETAILS") {
    found.open = true;
    found.scrollIntoView();
  }
}

$("filter").addEventListener("input", () => {
  const wanted = $("filter").value.trim().toLowerCase();
  for (const one of document.querySelectorAll("#operations details")) one.hidden = !one.firstChild.textContent.toLowerCase().includes(wanted);
  for (const group of document.querySelectorAll("#operations section")) group.hidden = !group.querySelector("details:not([hidden])");
});
addEventListener("hashchange", reveal);

try {
  const answer = await fetch("/api/openapi.json");
  if (!answer.ok) throw new Error(`status ${answer.status}`);
  show(await answer.json());
  reveal();
} catch (error) {
  $("about").textContent = `The description could not be read: ${error.message}`;
}
