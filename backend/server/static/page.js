// Who waits for what, what runs, and pictures of what is done. Texts of the server become text, never markup.

import { Pictures, Refused, ask, jobPath, told, token } from "./server.js";

const LOOK_SECONDS = 2;
const IDLE_SECONDS = 10; // where nothing runs or waits
const AWAY_SECONDS = 5; // where the server does not answer
const MOST_OPEN = 1000; // the server gives no more
const OPEN_A_SECOND = 100; // where many wait they are asked for less often
const ENDED_AT_ONCE = 24;
const HIGHEST = 100;
const SAID = {
  queued: "Waits for its turn",
  running: "Runs",
  needs_input: "Asks something; answer it in Blender",
  done: "Done",
  failed: "Failed",
  cancelled: "Cancelled",
};

const at = (id) => document.getElementById(id);
const pictures = new Pictures();
const titles = new Map(); // of methods, by id
const shown = new WeakMap(); // which picture an <img> shows: file and version
let timer = 0;
let turn = 0; // of looking; an answer to an earlier one is late
let newest = []; // ended jobs
let older = []; // those that "Show older ones" has brought
let endedSeen = ""; // the open ones when these were asked for
let endedAt = 0;

// what is drawn

function about(seconds) {
  if (seconds < 10) return "a few seconds";
  if (seconds < 55) return `about ${Math.round(seconds / 10) * 10} s`;
  if (seconds < 90 * 60) return `about ${Math.round(seconds / 60)} min`;
  return `about ${(seconds / 3600).toFixed(1)} h`;
}

function moment(iso) {
  const when = new Date(iso);
  const today = when.toDateString() === new Date().toDateString();
  return when.toLocaleString([], today ? { timeStyle: "short" } : { dateStyle: "medium", timeStyle: "short" });
}

const nameOf = (job) => job.name || "Without a name";

// Sets a text only where it is another one, so that a screen reader is not told the same again.
function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
  if (element.hidden !== !text) element.hidden = !text;
}

function button(element, verb, title, label, act) {
  let made = element.querySelector(`[data-verb="${verb}"]`);
  if (!made) {
    made = document.createElement("button");
    made.type = "button";
    made.dataset.verb = verb;
    made.textContent = title;
    element.append(made);
  }
  if (made.getAttribute("aria-label") !== label) made.setAttribute("aria-label", label);
  made.onclick = act;
  return made;
}

// Has the items of a list be those of `jobs`, in that order. Elements that stay are not moved unless they must, as that
// would take the keyboard's focus from them.
function draw(list, template, jobs, fill) {
  const focused = document.activeElement;
  const there = new Map([...list.children].map((item) => [item.dataset.job, item]));
  let place = list.firstElementChild;
  for (const job of jobs) {
    let item = there.get(job.id);
    there.delete(job.id);
    if (!item) {
      item = at(template).content.firstElementChild.cloneNode(true);
      item.dataset.job = job.id;
    }
    fill(item, job);
    if (item === place) place = place.nextElementSibling;
    else list.insertBefore(item, place);
  }
  for (const item of there.values()) {
    if (item.contains(focused)) list.closest("section").querySelector("h2").focus();
    const picture = shown.get(item.querySelector("img"));
    if (picture) pictures.drop(item.dataset.job, picture.file, picture.version);
    item.remove();
  }
  if (focused !== document.activeElement && list.contains(focused)) focused.focus(); // its item was moved
  list.hidden = !jobs.length;
  list.closest("section").querySelector(".nothing").hidden = Boolean(jobs.length);
}

function fillWords(item, job, state) {
  write(item.querySelector("h3"), nameOf(job));
  const owner = job.user ? `for ${job.user}` : "";
  write(item.querySelector(".about"), [titles.get(job.pipeline) ?? job.pipeline, owner].filter(Boolean).join(" · "));
  write(item.querySelector(".state"), state);
  item.dataset.state = job.state;
}

async function show(item, job, file, version, words) {
  const image = item.querySelector("img");
  const wanted = `${file}/${version}`;
  if (image.dataset.wanted === wanted) return;
  image.dataset.wanted = wanted;
  try {
    const address = await pictures.address(job.id, file, version);
    if (image.dataset.wanted !== wanted) return; // a later one was asked for meanwhile
    const former = shown.get(image);
    shown.set(image, { file, version });
    image.src = address;
    image.alt = words;
    image.hidden = false;
    if (former) pictures.drop(job.id, former.file, former.version);
  } catch {
    image.dataset.wanted = ""; // it is tried again with the next look: the file may have gone with the end of the job
  }
}

function newestPreview(job) {
  return job.previews.reduce((newest, one) => (newest && newest.revision > one.revision ? newest : one), null);
}

function fillRunning(item, job) {
  const progress = job.progress;
  const asks = job.state === "needs_input";
  const left = progress?.eta != null ? `${about(progress.eta)} left` : "";
  const stage = progress ? [progress.message || progress.stage, left].filter(Boolean).join(", ") : SAID.running;
  fillWords(item, job, asks ? SAID.needs_input : stage);
  const bar = item.querySelector(".progress");
  bar.hidden = !progress;
  if (progress) {
    const percent = Math.floor(100 * progress.fraction);
    bar.firstElementChild.value = percent;
    bar.firstElementChild.setAttribute("aria-label", `Progress of ${nameOf(job)}`);
    write(bar.lastElementChild, `${percent} %`);
  }
  const preview = newestPreview(job);
  write(item.querySelector(".picture span"), preview ? "" : "No picture yet");
  if (preview) show(item, job, preview.file, preview.revision, preview.caption || `What ${nameOf(job)} has come to`);
  button(item.querySelector(".buttons"), "cancel", "Cancel", `Cancel ${nameOf(job)}`, () => cancel(job));
}

function startsIn(job, health) {
  const slots = Math.max(1, health.slots.length);
  const more = job.position - slots; // so many have to end after the first before it can begin
  if (more < 0 || health.next_end_seconds == null || (more && health.usual_seconds == null)) return "";
  return `begins in ${about(health.next_end_seconds + (more * (health.usual_seconds ?? 0)) / slots)}`;
}

function fillWaiting(item, job, health, waiting) {
  const ahead = job.position === 1 ? "1 job runs or waits before it" : `${job.position} jobs run or wait before it`;
  const priority = job.priority ? `priority ${job.priority > 0 ? "+" : "−"}${Math.abs(job.priority)}` : "";
  const place = job.position ? ahead : "It is its turn";
  fillWords(item, job, [place, job.waiting ? "" : startsIn(job, health), priority].filter(Boolean).join(", "));
  const buttons = item.querySelector(".buttons");
  const name = nameOf(job);
  const whose = job.user ? `the other jobs of ${job.user}` : "the others";
  const among = waiting.filter((other) => other.user === job.user && other.id !== job.id).map((other) => other.priority);
  const first = Math.min(HIGHEST, Math.max(...among) + 1);
  const last = Math.max(-HIGHEST, Math.min(...among) - 1);
  const sooner = button(buttons, "sooner", "Sooner", `${name} before ${whose}`, () => prioritise(job, first));
  const later = button(buttons, "later", "Later", `${name} after ${whose}`, () => prioritise(job, last));
  sooner.hidden = later.hidden = !among.length;
  button(buttons, "cancel", "Cancel", `Cancel ${name}`, () => cancel(job));
}

function fillEnded(item, job) {
  const how = job.finished_early ? "Ended early" : SAID[job.state];
  fillWords(item, job, [how, job.finished && moment(job.finished)].filter(Boolean).join(", "));
  write(item.querySelector(".problem"), job.problem ? `${job.problem.detail} ${job.problem.hint}` : "");
  const has = job.files.includes("thumbnail.png");
  write(item.querySelector(".picture span"), has ? "" : job.state === "failed" ? "Failed" : "No picture");
  if (has) show(item, job, "thumbnail.png", job.finished, `The props of ${nameOf(job)}`);
}

function drawSummary(health) {
  const busy = health.slots.filter((slot) => slot.worker === "busy").length;
  const queued = health.queued == null ? "the queue cannot be read" : `${health.queued} in the queue`;
  write(at("summary"), `${busy} of ${health.slots.length} ${health.slots.length === 1 ? "slot" : "slots"} busy, ${queued}`);
  const who = at("who");
  write(who.firstElementChild, health.user ? `${health.user}${health.administrator ? ", administrator" : ""}` : "");
  who.hidden = false;
  const why = health.waiting ?? health.problem;
  write(at("held-up"), why ? `${why.detail} ${why.hint}` : "");
}

// what is asked

async function look() {
  clearTimeout(timer);
  if (document.hidden || !token.get()) return;
  const mine = ++turn;
  let pause = LOOK_SECONDS;
  try {
    const [health, open] = await Promise.all([told("/health"), told(`/jobs?ended=false&limit=${MOST_OPEN}`)]);
    if (!titles.size) for (const method of await told("/pipelines")) titles.set(method.id, method.title);
    if (mine !== turn) return;
    const running = open.filter((job) => job.state !== "queued");
    const waiting = open.filter((job) => job.state === "queued");
    running.sort((one, other) => (one.started ?? "").localeCompare(other.started ?? ""));
    waiting.sort((one, other) => (one.position ?? Infinity) - (other.position ?? Infinity));
    signedIn(true);
    drawSummary(health);
    draw(at("running"), "card", running, fillRunning);
    draw(at("waiting"), "row", waiting, (item, job) => fillWaiting(item, job, health, waiting));
    write(at("not-all"), open.length < MOST_OPEN ? "" : `Only the newest ${MOST_OPEN} are shown.`);
    await lookAtEnded(open);
    write(at("trouble"), "");
    pause = open.length || health.queued ? Math.max(pause, open.length / OPEN_A_SECOND) : IDLE_SECONDS;
  } catch (error) {
    if (mine !== turn) return;
    pause = Math.max(AWAY_SECONDS, tell(error));
  }
  if (mine === turn && token.get()) timer = setTimeout(look, 1000 * pause);
}

// Ended jobs stay as they are, so they are asked for when one that was open has gone, and now and then.
async function lookAtEnded(open) {
  const seen = open.map((job) => job.id).sort().join();
  if (seen === endedSeen && Date.now() - endedAt < 1000 * IDLE_SECONDS) return;
  const mine = turn;
  const found = await told(`/jobs?ended=true&limit=${ENDED_AT_ONCE}`);
  if (mine !== turn) return;
  endedSeen = seen;
  endedAt = Date.now();
  if (older.length) older = [...newest, ...older]; // what newer ones have pushed out is among the older ones now
  newest = found;
  if (!older.length) at("more").hidden = newest.length < ENDED_AT_ONCE;
  drawEnded();
}

function drawEnded() {
  const ids = new Set(newest.map((job) => job.id));
  older = older.filter((job) => !ids.has(job.id));
  draw(at("ended"), "card", [...newest, ...older], fillEnded);
}

async function showOlder() {
  const last = [...newest, ...older].at(-1);
  const mine = turn;
  const more = await told(`/jobs?ended=true&limit=${ENDED_AT_ONCE}&before=${encodeURIComponent(last.id)}`);
  if (mine !== turn && !token.get()) return;
  older = [...older, ...more];
  at("more").hidden = more.length < ENDED_AT_ONCE;
  drawEnded();
  say(`${more.length} older ones are shown.`);
}

// Told to whoever does not see the page change.
function say(text) {
  at("said").textContent = text;
}

// Says what went wrong; the seconds until another try has a use.
function tell(error) {
  if (error instanceof Refused) {
    if (error.code === "token-wrong") signOut(error.message);
    else write(at("trouble"), error.message);
    return error.wait;
  }
  write(at("trouble"), "The server does not answer. It is asked again in a moment.");
  return 0;
}

// what is done

async function act(doing, done) {
  try {
    await doing();
    say(done);
  } catch (error) {
    tell(error);
    return;
  }
  await look();
}

function cancel(job) {
  const sure = at("sure");
  write(at("sure-title"), `Cancel ${nameOf(job)}?`);
  const lost = "What it has come to so far is lost, unless its method keeps checkpoints.";
  write(at("sure-text"), job.state === "queued" ? "It has not begun yet." : lost);
  sure.returnValue = "no";
  sure.onclose = () => {
    if (sure.returnValue !== "yes") return;
    act(() => ask("DELETE", jobPath(job.id)), `${nameOf(job)} is being cancelled.`);
  };
  sure.showModal();
}

function prioritise(job, priority) {
  act(() => ask("POST", jobPath(job.id, "priority"), { priority }), `${nameOf(job)} has priority ${priority}.`);
}

// who is there

function signedIn(is) {
  const comes = is && !at("sign-in").hidden;
  at("sign-in").hidden = is;
  at("jobs").hidden = !is;
  for (const id of ["summary", "who"]) if (!is) at(id).hidden = true;
  if (comes) at("running-title").focus(); // the field that had the focus has gone
}

function signOut(why = "") {
  token.forget();
  turn += 1;
  clearTimeout(timer);
  pictures.dropAll();
  newest = older = [];
  endedSeen = "";
  endedAt = 0;
  for (const list of ["running", "waiting", "ended"]) at(list).replaceChildren();
  write(at("trouble"), "");
  write(at("refused"), why);
  signedIn(false);
  at("token").focus();
}

at("sign-in").addEventListener("submit", (event) => {
  event.preventDefault();
  const given = at("token").value.trim();
  at("token").value = "";
  if (!/^[\x21-\x7e]+$/.test(given)) {
    write(at("refused"), "That is no token: it has letters, digits and signs, and no spaces.");
    return;
  }
  write(at("refused"), "");
  token.keep(given);
  look();
});
at("sign-out").addEventListener("click", () => signOut());
at("more").addEventListener("click", () => showOlder().catch(tell));
document.addEventListener("visibilitychange", look);

if (token.get()) look();
else signedIn(false);
