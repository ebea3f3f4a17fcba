// ---- Going about.

let waiting = false;

function go(to) {
  if (to < 0 || to >= launch.steps) return;
  step = to;
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(show);
}

function show() {
  waiting = false;
  if (!wide) return;
  sayStep(), drawCursor(), markSource(), drawMemory(), drawStrip();
}

const ends = () => [launch.begin[launch.row[step]], launch.begin[launch.row[step] + 1] - 1];
const bounded = (to) => Math.max(ends()[0], Math.min(ends()[1], to));

function goToBarrier(way) {
  let s = step + way;
  while (s > ends()[0] && s < ends()[1] && !launch.isBarrier(s)) s += way;
  go(bounded(s));
}

function goToWarp(way) {
  const time = launch.column[step];
  for (let row = launch.row[step] + way; row >= 0 && row < launch.rows; row += way)
    if (launch.begin[row] < launch.begin[row + 1]) return go(launch.at(row, time));
}

function goToLine(place) {  // the next step there of this warp, or else of any
  const [from, to] = ends(), is = (s) => launch.places[launch.place[s]] === place;
  for (let s = step + 1; s <= to; ++s) if (is(s)) return go(s);
  for (let s = from; s <= step; ++s) if (is(s)) return go(s);
  for (let s = 0; s < launch.steps; ++s) if (is(s)) return go(s);
}

function goToEnd() { go(launch.faultAt ? launch.faultAt[0] : ends()[1]); }
function goToFault() {
  if (!launch.faultAt) return;
  go(launch.otherAt && step === launch.faultAt[0] && launch.otherAt[0] !== step ? launch.otherAt[0] : launch.faultAt[0]);
}

function play(on) {
  clearInterval(playing);
  playing = 0;
  $("play").textContent = on ? "Stop" : "Play";
  $("play").setAttribute("aria-pressed", String(on));
  $("what").setAttribute("aria-live", on ? "off" : "polite");
  if (!on) return;
  if (step === ends()[1]) go(ends()[0]);
  playing = setInterval(() => {
    const stop = step === ends()[1] || launch.faultAt?.[0] === step + 1;
    if (step < ends()[1]) go(step + 1);
    if (stop) play(false);
  }, 1000 / Number($("speed").value));
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const on = event.target, tag = on.tagName;
  if (tag === "SELECT" || ((tag === "BUTTON" || tag === "SUMMARY") && (event.key === " " || event.key === "Enter"))) return;
  const inPicture = on === $("overview") || on === $("slider");
  const keys = {
    ArrowRight: () => event.shiftKey ? goToBarrier(1) : go(bounded(step + 1)),
    ArrowLeft: () => event.shiftKey ? goToBarrier(-1) : go(bounded(step - 1)),
    Home: () => go(ends()[0]),
    End: goToEnd,
    " ": () => play(!playing),
    j: () => goToWarp(1),
    k: () => goToWarp(-1),
    f: goToFault,
    ...(inPicture ? {ArrowDown: () => goToWarp(1), ArrowUp: () => goToWarp(-1)} : {}),
  };
  if (!(event.key in keys)) return;
  event.preventDefault();
  if (event.key !== " ") play(false);
  keys[event.key]();
}

function showTip(event) {
  const on = event.target.closest?.("[data-tip]");
  let text = on?.dataset.tip;
  if (event.target === $("overview")) {
    const s = stepAt(event);
    text = s < 0 ? "" : `warp ${launch.row[s] % launch.warps} of block ${launch.blockOf(launch.row[s])}, step ${s - launch.begin[launch.row[s]] + 1}\n` +
      (launch.isCounted(s) ? `${launch.where(s)}: ${many(launch.cost[s], UNITS[memoryOf(launch.kind[s])])}, fewest ${launch.best[s]}` :
        launch.where(s));
  }
  const tip = $("tip");
  tip.hidden = !text;
  if (!text) return;
  tip.textContent = text;
  const {width, height} = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(8, Math.min(event.clientX + 14, innerWidth - width - 8))}px`;
  tip.style.top = `${event.clientY + 18 + height > innerHeight ? event.clientY - height - 10 : event.clientY + 18}px`;
}

let wide = 0;  // of the page when it was drawn; 0 while it is in a frame that is not shown

function draw() {
  wide = $("overview").clientWidth;
  if (!wide || !launch) return;
  readColours();
  sayTotals(), drawOverview(), sayLaunch(), drawLegend(), drawSource(launch.files[0]), sayArrays();
  if (launch.steps) show();
  document.body.dataset.ready = "true";
}

function open(number) {
  play(false);
  launch = launches[number];
  step = launch.faultAt ? launch.faultAt[0] : 0;
  draw();
}

async function start() {
  if (!("DecompressionStream" in window)) {
    $("unreadable").hidden = false;
    return;
  }
  const data = await unpacked();
  launches = data.head.launches.map((told) => new Launch(told, data));
  $("made").textContent = `Made by fastae ${data.head.version}: the kernel ran on its emulator, every access was seen. The page loads nothing from elsewhere.`;
  $("note").textContent = data.head.note, $("note").hidden = !data.head.note;
  $("choose").hidden = launches.length < 2;
  $("launch").replaceChildren(...launches.map((l, i) => element("option", {value: i}, `${i + 1}: ${l.kernel}${l.launchedAt ? `, ${l.launchedAt}` : ""}${l.fault ? ", stopped" : ""}`)));
  $("launch").onchange = () => open(Number($("launch").value));
  $("first").onclick = () => go(ends()[0]);
  $("back").onclick = () => go(bounded(step - 1));
  $("forward").onclick = () => go(bounded(step + 1));
  $("last").onclick = goToEnd;
  $("play").onclick = () => play(!playing);
  $("speed").onchange = () => play(Boolean(playing));
  $("slider").oninput = () => go(ends()[0] + Number($("slider").value));
  $("to-fault").onclick = () => go(launch.faultAt[0]);
  $("to-other").onclick = () => go(launch.otherAt[0]);
  $("overview").onclick = (event) => go(stepAt(event));
  document.addEventListener("keydown", onKey);
  document.addEventListener("pointermove", showTip);
  document.addEventListener("pointerdown", showTip);
  document.addEventListener("pointerleave", () => { $("tip").hidden = true; });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  if (launches.length) open(0);
  new ResizeObserver(() => { if ($("overview").clientWidth !== wide) draw(); }).observe($("overview"));
}

start();
