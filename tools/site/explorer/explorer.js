"use strict";
/* Looks answers up and shows them. What is decided was decided in Python; nothing is decided here. */
(() => {
const D = JSON.parse(document.getElementById("data").textContent);
const A = D.axes, $ = id => document.getElementById(id);
const SLIDERS = { n: "examples", d: "distance", m: "budget_minutes", ms: "latency_ms", t: "tasks",
  r: "retrainings", h: "hour_price", p: "release_minutes", w: "point_worth", px: "pixels" };
// Sliders whose zero is a value have no logarithm to be near by.
const EVEN = ["distance", "retrainings", "release_minutes"];
const SWITCHES = { u: "unlabelled", local: "local_only" };
const esc = text => text.replace(/[&<>"]/g, c => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]);

/* --- state: places on the axes, and switches ----------------------------------------------- */
const at = { ...D.start };

function nearestPlace(axis, text) {
  const limits = A[axis];
  if (text === "none") return Math.max(0, limits.indexOf(null));
  const value = Number(text);
  if (text === "" || !Number.isFinite(value)) return D.start[axis];
  const far = v => v === null ? Infinity
    : EVEN.includes(axis) ? Math.abs(v - value) : Math.abs(Math.log(Math.max(v, 1e-9) / Math.max(value, 1e-9)));
  return limits.reduce((best, v, place) => far(v) < far(limits[best]) ? place : best, 0);
}

function readHash() {
  const given = new URLSearchParams(location.hash.slice(1));
  Object.assign(at, D.start);
  for (const [key, axis] of Object.entries(SLIDERS)) if (given.has(key)) at[axis] = nearestPlace(axis, given.get(key));
  if (given.get("kind") === "text") at.modality = "text";
  at.llm = at.modality === "text" && given.get("llm") === "1";
  for (const [key, name] of Object.entries(SWITCHES)) at[name] = given.get(key) === "1";
}

function hash() {
  const parts = Object.entries(SLIDERS).map(([key, axis]) => `${key}=${A[axis][at[axis]] ?? "none"}`);
  parts.push(`kind=${at.modality}`);
  if (at.llm) parts.push("llm=1");
  for (const [key, name] of Object.entries(SWITCHES)) if (at[name]) parts.push(`${key}=1`);
  return "#" + parts.join("&");
}

/* --- looking up ---------------------------------------------------------------------------- */
function look(p = at) {
  const cell = p.examples * A.distance.length + p.distance;
  const kind = p.modality === "image" ? 0 : p.llm ? 2 : 1;
  const limited = A.budget_minutes[p.budget_minutes] === null ? 0 : 1;
  const row = D.rows[D.rules[(cell * 3 + kind) * 2 + limited]];
  const [approach, rule, reasons, flips, headline, first] = D.decisions[row[p.tasks * 4 + 2 * p.unlabelled + 1 * p.local_only]];
  const side = cell * 2 + (kind ? 1 : 0);
  const place = D.rows[D.found[side]][p.budget_minutes * A.latency_ms.length + p.latency_ms];
  const [verdict, take, lean, candidates, said, measured] = D.answers[kind === 2 ? D.language : place];
  const [near, ...curves] = D.rows[D.near[side]];
  const elsewhere = D.elsewhere[(p.examples * 3 + D.words_of_distance[p.distance]) * 3 + kind];
  const [certain, least, reach, standings, cases, told] = D.published[elsewhere];
  const found = candidates.map(i => D.candidates[i]).map(c => ({ approach: D.approaches[c[0]], accuracy: c[1],
    low: c[2], high: c[3], train_seconds: c[4], stored_mb: c[5], latency_ms: c[6], runs: c[7] }));
  return {
    kind, candidates: found, bill: upkeep(p, found), larger: kind ? "" : D.larger[p.distance][p.pixels],
    published: { place: elsewhere, verdict: D.verdicts[certain], take: D.approaches[least] ?? "", reach: D.reaches[reach], told: D.texts[told],
      cases: cases.map(i => D.cases[i]), standings: standings.map(([name, ...row]) => [D.approaches[name], ...row]) },
    approach: D.approaches[approach], rule: D.rule_names[rule], headline: D.texts[headline], first: D.texts[first],
    reasons: [...D.heads[cell], ...D.lists[reasons]].map(i => D.reasons[i]).map(([kind, text]) =>
      ({ kind, text: D.texts[text] })),
    flips: D.lists[flips].map(i => D.flips[i]).map(([name, applied, to, why]) =>
      ({ name: D.texts[name], applied: !!applied, approach: D.approaches[to], why: D.texts[why] })),
    verdict: D.verdicts[verdict], take: D.approaches[take] ?? "", lean: D.approaches[lean] ?? "",
    measured: D.texts[measured], said: said.map(i => D.texts[i]),
    near: !!near && kind !== 2, curves,
  };
}

/* The bill of a year at the reader's prices, as `helpers.display.explorer.upkeep` reckons it. */
function upkeep(p, candidates) {
  const value = axis => A[axis][p[axis]];
  const tasks = value("tasks"), trainings = tasks * (1 + value("retrainings"));
  const bill = candidates.map(c => {
    const computing = trainings * c.train_seconds / 3600 * value("hour_price");
    return { approach: c.approach, computing, net: value("point_worth") * tasks * 100 * c.accuracy - computing };
  });
  const most = bill.reduce((best, c) => best && best.net >= c.net ? best : c, null);
  const least = bill.reduce((best, c) => best && best.computing <= c.computing ? best : c, null);
  return { bill, tasks, most, least, take: most ? most.approach : "", hours: trainings * value("release_minutes") / 60 };
}

/* --- showing ------------------------------------------------------------------------------- */
const title = name => D.titles[name];
const short = v => v.toLocaleString("en-US", { minimumFractionDigits: v >= 100 ? 0 : v >= 10 ? 1 : v >= 1 ? 2 : 3,
  maximumFractionDigits: v >= 100 ? 0 : v >= 10 ? 1 : v >= 1 ? 2 : 3 });
const duration = s => s < 120 ? `${short(s)} s` : `${short(s / 60)} min`;
const chip = verdict => ({ [D.verdicts[0]]: ["clear", "●"], [D.verdicts[2]]: ["none", "○"] })[verdict] ?? ["close", "◐"];

function comparison(a) {
  if (!a.candidates.length) return "";
  const own = a.candidates.find(c => c.approach === a.approach), name = title(a.approach);
  if (!own) return `The rule's ${name} was not measured here, or lies over your limits.`;
  if (a.approach === a.take) return "The rule and the records agree here.";
  const taken = a.candidates.find(c => c.approach === a.take);
  const points = 100 * (own.accuracy - taken.accuracy), ratio = own.train_seconds / taken.train_seconds;
  const digits = r => r.toFixed(r >= 10 ? 0 : 1);
  const times = ratio >= 1 ? `${digits(ratio)} times` : `1/${digits(1 / ratio)} of`;
  return `The rule's ${name} came out ${Math.abs(points).toFixed(1)} points ${points >= 0 ? "above" : "below"} `
    + `${title(a.take)}, at ${times} its training time.`;
}

function flips(head, kind, some) {
  return some.length ? `<h3 class="block">${head}</h3><ul class="flips">` + some.map(f =>
    `<li class="${kind}">${esc(f.name)}: ${esc(f.applied ? title(f.approach) : f.why)}</li>`).join("") + "</ul>" : "";
}

function showRule(a) {
  const first = a.first ? `<p class="sub">First: ${esc(a.first)}.</p>` : "";
  $("rule").innerHTML = `<h2>What the rule says</h2><p class="answer">${D.swatches[a.approach]}${title(a.approach)} `
    + `<span class="chip">${D.rule_titles[a.rule]}</span></p>${first}<ol class="why">`
    + a.reasons.map(r => `<li class="${D.reason_classes[r.kind] ?? ""}">${esc(r.text)}</li>`).join("") + "</ol>"
    + flips("What turned it", "applied", a.flips.filter(f => f.applied))
    + flips("What would change it", "", a.flips.filter(f => !f.applied));
}

function showMeasured(a) {
  const [kind, sign] = chip(a.verdict);
  const named = a.take ? D.swatches[a.take] + title(a.take) : a.published.take ? "Not measured here" : "No evidence";
  const side = comparison(a);
  $("measured").innerHTML = `<h2>What was measured near here</h2><p class="answer">${named} `
    + `<span class="chip ${kind}">${sign} ${a.take || !a.published.take ? a.verdict : "published only"}</span></p><div class="said">`
    + (side ? `<p class="key">${esc(side)}</p>` : "") + a.said.map(t => `<p>${esc(t)}</p>`).join("") + "</div>";
}

const money = v => v >= D.least_money ? short(v) : `under ${D.least_money}`;
const hours = v => v.toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
function upkeepWords(b) {
  if (!b.most) return "No training time was recorded near here, so no bill is reckoned.";
  const cheapest = b.most === b.least ? "the least of all" : `${title(b.least.approach)}, the cheapest, ${money(b.least.computing)}`;
  return `At your prices ${title(b.take)} pays best: a year of ${b.tasks === 1 ? "one task" : `${b.tasks} tasks`} costs `
    + `${money(b.most.computing)} in computing (${cheapest}), and ${hours(b.hours)} hours of people's work whichever approach you take.`;
}

function showUpkeep(a) {
  $("bill").textContent = upkeepWords(a.bill);
}

let listed = "";
function showPublished(a) {
  if (listed === `${a.published.place} ${a.approach}`) return;
  listed = `${a.published.place} ${a.approach}`;
  const p = a.published, [kind, sign] = chip(p.verdict);
  const head = D.published_heads.map(h => `<th scope="col">${h}</th>`).join("");
  const rows = p.standings.map(([name, cases, sets, first, regret]) =>
    `<tr class="${name === p.take || name === a.approach ? "told" : ""}"><th scope="row">${D.swatches[name]}${title(name)}</th>`
    + `<td>${regret.toFixed(1)}</td><td>${(100 * first).toFixed(0)} %</td><td>${cases}</td><td>${sets}</td></tr>`).join("");
  const sources = [...new Set(p.cases.map(c => c[0]))];
  const cases = p.cases.map(([source, set, network, n, word, scores]) => `<tr><th scope="row">${esc(set)}</th><td>${esc(network)}</td>`
    + `<td>${n.toLocaleString("en-US")}</td><td>${word || "not judged"}</td><td>${esc(scores)}</td><td>${esc(source)}</td></tr>`).join("");
  $("published").innerHTML = `<h2>What others published</h2><p class="answer">${p.take ? D.swatches[p.take] + title(p.take) : "Nothing near"} `
    + `<span class="chip ${kind}">${sign} ${p.take ? p.verdict : "none"}</span></p>`
    + (p.take ? `<p class="sub">${D.reach_words[p.reach]}</p><div class="scroll" tabindex="0"><table class="block"><thead><tr>${head}</tr></thead>`
      + `<tbody>${rows}</tbody></table></div><p class="hint">Each over the cases that tried it: other networks, other recipes, never pooled `
      + `with what was measured here.</p><details><summary>${p.cases.length === 1 ? "The case and its source" : `The ${p.cases.length} cases and their sources`}</summary><div class="scroll" tabindex="0"><table class="block cases">`
      + `<thead><tr>${D.case_heads.map(h => `<th scope="col">${h}</th>`).join("")}</tr></thead><tbody>${cases}</tbody></table></div>`
      + sources.map(s => `<p class="hint"><b>${esc(s)}</b>: ${esc(D.citations[s])}</p>`).join("") + "</details>"
      : `<p class="sub">${D.reach_words[p.reach]}</p>`);
}

let mapped = -1;
function showMap(a) {
  if (mapped !== a.kind) { $("map").innerHTML = D.maps[a.kind]; mapped = a.kind; }
  const [x, y] = $("map").querySelectorAll(".here");
  x.setAttribute("transform", `translate(${D.map_x[at.examples]},0)`);
  y.setAttribute("transform", `translate(0,${D.map_y[at.distance]})`);
}

/* What the last move changed. Where it changed no answer, that is said, since it is what was found. */
const ANSWERS = [["the rule", a => a.approach], ["what was measured", a => a.take], ["what is published", a => a.published.take],
  ["what pays", a => a.bill.take]];
function movedWords(before, after, axis) {
  const differ = ANSWERS.filter(([, of]) => of(before) !== of(after)).map(([who, of]) =>
    `${who} from ${title(of(before)) ?? "nothing"} to ${title(of(after)) ?? "nothing"}`);
  if (differ.length) return `Changed: ${differ.join("; ")}.`;
  return `No answer changed, and that is the finding: here ${D.questions[axis] ?? "this"} decides nothing.`;
}

function range(c, low, high) {
  const x = v => (4 + 112 * (v - low) / ((high - low) || 1)).toFixed(1);
  return `<svg class="range s-${c.approach}" viewBox="0 0 120 14" aria-hidden="true"><path class="rail" d="M4 7H116"/>`
    + `<path class="span" d="M${x(c.low)} 7H${x(c.high)}"/>`
    + `<path class="mark" transform="translate(${x(c.accuracy)},7)" d="${D.shapes[c.approach]}"/></svg>`;
}

function showTable(a) {
  $("tried").hidden = !a.candidates.length;
  const low = Math.min(...a.candidates.map(c => c.low)), high = Math.max(...a.candidates.map(c => c.high));
  $("rows").innerHTML = a.candidates.map(c => {
    const told = c.approach === a.approach, taken = c.approach === a.take;
    const points = 100 * (a.candidates[0].accuracy - c.accuracy);
    const tags = [["rule", told], ["take", taken], ["pays", c.approach === a.bill.take]].map(([tag, on]) => on ? `<span class="tag">${tag}</span>` : "").join("");
    const costs = [["below best", points >= 0.05 ? points.toFixed(1) : "–"],
      ["training", duration(c.train_seconds)], ["stored", `${short(c.stored_mb)} MB`],
      ["latency", `${short(c.latency_ms)} ms`], ["runs", c.runs],
      ["a year", money(a.bill.bill.find(b => b.approach === c.approach).computing)]];
    return `<tr class="${told || taken ? "told" : ""}"><th scope="row">${D.swatches[c.approach]}${title(c.approach)}${tags}</th>`
      + `<td class="wide"><b>${c.accuracy.toFixed(3)}</b> ${range(c, low, high)}</td>`
      + `<td data-head="95 % interval">${c.low.toFixed(3)} to ${c.high.toFixed(3)}</td>`
      + costs.map(([head, value]) => `<td data-head="${head}">${value}</td>`).join("") + "</tr>";
  }).join("");
}

let drawn = "";
function showCurves(a) {
  const wanted = a.curves.join();
  if (wanted !== drawn) {
    const curves = a.curves.map(i => D.curves[i]);
    $("curves").innerHTML = curves.map(c => `<figure><figcaption><b>${esc(c.name)}</b><br><small>${c.place}</small>`
      + `</figcaption>${c.svg}</figure>`).join("");
    $("numbers").innerHTML = curves.map(c => `<h3>${esc(c.name)}</h3><div class="scroll" tabindex="0">${c.table}</div>`).join("");
    drawn = wanted;
  }
  [...$("curves").querySelectorAll(".you")].forEach((mark, i) => {
    const [x, anchor, words] = D.curves[a.curves[i]].marks[at.examples];
    mark.setAttribute("transform", `translate(${x},0)`);
    mark.lastChild.setAttribute("text-anchor", anchor);
    mark.lastChild.textContent = words;
  });
  $("apart").textContent = D.apart[a.near ? 1 : 0];
}

function show() {
  const a = look();
  for (const axis of Object.values(SLIDERS)) {
    const words = D.words[axis][at[axis]];
    $(axis).value = at[axis];
    $(axis).setAttribute("aria-valuetext", words);
    $(axis).style.setProperty("--at", A[axis].length > 1 ? at[axis] / (A[axis].length - 1) : 0);
    $(axis + "-value").textContent = words;
  }
  for (const radio of document.getElementsByName("modality")) radio.checked = radio.value === at.modality;
  $("llm").checked = at.llm;
  $("llm").disabled = at.modality !== "text";
  for (const name of Object.values(SWITCHES)) $(name).checked = at[name];
  const page = $("explorer");
  Object.assign(page.dataset, { rule: a.approach, take: a.take, verdict: a.verdict, published: a.published.take,
    pays: a.bill.take, evidence: a.take ? "measured" : a.published.take ? "published" : "none" });
  if ($("says-rule").textContent !== a.headline) $("says-rule").textContent = a.headline;
  if ($("says-measured").textContent !== a.measured) $("says-measured").textContent = a.measured;
  if ($("says-published").textContent !== a.published.told) $("says-published").textContent = a.published.told;
  $("photos").hidden = $("larger-card").hidden = a.kind > 0;
  $("larger").textContent = a.larger;
  showRule(a); showMeasured(a); showPublished(a); showUpkeep(a); showTable(a); showCurves(a); showMap(a);
  return a;
}

let shown;
function changed(axis = "") {
  const before = shown;
  shown = show();
  $("says-moved").textContent = axis ? movedWords(before, shown, axis) : "";
  history.replaceState(null, "", hash());
}

for (const axis of Object.values(SLIDERS)) $(axis).addEventListener("input", e => { at[axis] = Number(e.target.value); changed(axis); });
for (const radio of document.getElementsByName("modality")) radio.addEventListener("change", e => {
  at.modality = e.target.value;
  if (at.modality !== "text") at.llm = false;
  changed("modality");
});
for (const name of ["llm", ...Object.values(SWITCHES)]) $(name).addEventListener("change", e => { at[name] = e.target.checked; changed(name); });
$("reset").addEventListener("click", () => { Object.assign(at, D.start); changed(); });
window.addEventListener("hashchange", () => { readHash(); shown = show(); $("says-moved").textContent = ""; });
window.explorer = { look, set(p, axis) { Object.assign(at, p); changed(axis); }, comparison, upkeepWords };
$("larger-rows").innerHTML = D.larger_rows.map(([name, ...cells]) => `<tr><th scope="row">${esc(name)}</th>`
  + cells.map(c => `<td>${c}</td>`).join("") + "</tr>").join("");
$("prices").open = window.innerWidth > 992;  // beside the answers there is room for them
readHash();
shown = show();
})();
