"use strict";
// The page of the playground. It sends requests (`send`); the server answers with a scene (once per run), pictures (many per run), or an
// error. Nothing but colors is computed here.

const $ = (id) => document.getElementById(id);
// Menus of numbers; those of names come from the server.
const NUMBERS = {
  rate: [0.0001, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3],
  batch: [1, 4, 10, 32, 100, 0],
  l1: [0, 0.0001, 0.001, 0.003, 0.01, 0.03, 0.1],
  l2: [0, 0.0001, 0.001, 0.003, 0.01, 0.03, 0.1],
};
const FRESH = {
  data: "xor", rows: 200, noise: 0.3, held: 0.3, seed: 1, hidden: [4, 2], activation: "tanh", loss: "auto", optimizer: "adam",
  rate: 0.03, batch: 10, l1: 0, l2: 0, speed: 5, target: "", x: "", y: "",
};
const NAMED = { blue: [0, 114, 178], orange: [230, 159, 0], green: [0, 158, 115] };
const PALETTE = [[230, 159, 0], [0, 114, 178], [0, 158, 115], [204, 121, 167], [86, 180, 233], [213, 94, 0], [240, 228, 66], [90, 90, 90], [150, 100, 40], [120, 80, 200]];
const WHITE = [255, 255, 255];

let state = { ...FRESH };
let socket = null, most = { layers: 6, units: 16 }, problems = [], columns = null;
let scene = null, picture = null, playing = false, losses = [], look = null, waiting = null;

// ---- requests

function send(ask) {
  if (socket && socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(ask));
}

function tuning() {
  return { learning_rate: +state.rate, batch: +state.batch, l1: +state.l1, l2: +state.l2 };
}

function setUp() {
  remember();
  playing = false;
  losses = [];
  look = null;
  const axes = state.data === "table" && state.x && state.y ? [state.x, state.y] : null;
  send({
    do: "setup",
    spec: {
      data: state.data, rows: +state.rows, noise: +state.noise, held_out: +state.held, hidden: state.hidden, activation: state.activation,
      loss: state.loss === "auto" ? null : state.loss, optimizer: state.optimizer, tuning: tuning(), seed: +state.seed,
      target: state.data === "table" && state.target ? state.target : null, axes,
    },
  });
  show();
}

/// Calls setUp once a slider has come to rest.
function setUpSoon() {
  clearTimeout(waiting);
  waiting = setTimeout(setUp, 150);
  show();
}

function play(on) {
  playing = on;
  send(on ? { do: "play", speed: +state.speed } : { do: "pause" });
  show();
}

// ---- the state, kept in the address

function remember() {
  const words = new URLSearchParams();
  for (const key of Object.keys(FRESH)) {
    if (String(state[key]) !== String(FRESH[key])) words.set(key, String(state[key]));
  }
  const hash = words.toString();
  if (hash !== location.hash.slice(1)) history.replaceState(null, "", hash ? "#" + hash : location.pathname);
}

function recall() {
  state = { ...FRESH };
  for (const [key, value] of new URLSearchParams(location.hash.slice(1))) {
    if (!(key in FRESH)) continue;
    if (key === "hidden") state.hidden = value.split(",").filter((n) => n).map(Number).filter((n) => n >= 1 && n <= most.units).slice(0, most.layers);
    else if (typeof FRESH[key] === "number") state[key] = Number.isFinite(+value) ? +value : FRESH[key];
    else state[key] = value;
  }
}

// ---- answers

function connect() {
  socket = new WebSocket(`ws://${location.host}/socket`);
  socket.binaryType = "arraybuffer";
  socket.onmessage = (event) => (typeof event.data === "string" ? hear(JSON.parse(event.data)) : receive(event.data));
  socket.onclose = (event) => {
    playing = false;
    show();
    say(`Connection lost${event.reason ? ": " + event.reason : ""}. Reconnecting…`, true);
    setTimeout(connect, 2000);
  };
}

function hear(answer) {
  if (answer.type === "hello") {
    most = answer.most;
    problems = answer.problems;
    fill("activation", answer.menus.activation);
    fill("loss", ["auto", ...answer.menus.loss]);
    fill("optimizer", answer.menus.optimizer);
    recall();
    buildProblems();
    if (state.data === "table") state.data = "xor";
    say("");
    setUp();
  } else if (answer.type === "columns") {
    columns = answer;
    buildColumns();
    choose("table");
  } else if (answer.type === "scene") {
    scene = answer;
    picture = null;
    buildNetwork();
    const left = scene.dropped.map(([name, why]) => `${name} is ignored: ${why}`);
    say(left.join("; "));
  } else if (answer.type === "run-file") {
    download(answer.name, answer.text);
    if (answer.rows) download(answer.table, answer.rows);
    say(`Train it with: perceptra train --config ${answer.name}` + (answer.rows ? "" : `, beside ${answer.table}`));
  } else if (answer.type === "error") {
    playing = false;
    say(answer.message + (answer.hint ? " – " + answer.hint : ""), true);
    show();
  }
}

function receive(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const bytes = new Uint8Array(buffer, 4 + length);
  if (header.type === "model") {
    download(header.name, bytes);
    say(`Predict with: perceptra predict ${header.name} new.csv`);
    return;
  }
  picture = header;
  picture.bytes = bytes;
  losses.push(...header.losses);
  if (losses.length > 4000) losses = losses.filter((_, i) => i % 2 === 0);
  // Every picture of a playing run is acknowledged, also one that a newer picture replaces before it is drawn.
  if (header.playing) undrawn++;
  if (pending) return;
  pending = true;
  requestAnimationFrame(() => {
    pending = false;
    draw();
    for (; undrawn > 0; undrawn--) send({ do: "drawn" });
  });
}
let pending = false, undrawn = 0;

function download(name, content) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content]));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

function say(text, error = false) {
  $("message").textContent = text;
  $("message").className = error ? "error" : "";
}

// ---- controls

function fill(id, values, name = (v) => v) {
  $(id).replaceChildren(...values.map((value) => new Option(name(value), value)));
}

function buildProblems() {
  const names = columns ? [...problems, "table"] : problems;
  $("problems").replaceChildren(...names.map((name) => {
    const button = document.createElement("button");
    button.textContent = name === "table" ? "own table" : name;
    button.dataset.name = name;
    button.onclick = () => choose(name);
    return button;
  }));
}

function buildColumns() {
  buildProblems();
  $("own").hidden = false;
  $("own-name").textContent = `${columns.name}, ${columns.rows} rows` + (columns.rows < columns.all_rows ? ` of ${columns.all_rows}` : "");
  fill("target", columns.columns);
  if (!columns.columns.includes(state.target)) state.target = columns.target;
  buildAxes();
}

function buildAxes() {
  const axes = columns.numeric.filter((name) => name !== state.target);
  fill("axis-x", axes);
  fill("axis-y", axes);
  if (!axes.includes(state.x)) state.x = axes[0] || "";
  if (!axes.includes(state.y) || state.y === state.x) state.y = axes.find((name) => name !== state.x) || "";
}

function choose(name) {
  state.data = name;
  setUp();
}

function show() {
  for (const key of ["rate", "batch", "l1", "l2", "speed", "activation", "loss", "optimizer", "rows", "noise", "held", "seed"]) {
    const control = $(key);
    if (control.tagName === "SELECT" && ![...control.options].some((o) => o.value === String(state[key]))) control.add(new Option(state[key], state[key]));
    control.value = state[key];
  }
  if (columns) for (const [id, key] of [["target", "target"], ["axis-x", "x"], ["axis-y", "y"]]) $(id).value = state[key];
  $("rows-value").textContent = state.rows;
  $("noise-value").textContent = state.noise;
  $("held-value").textContent = `${Math.round(100 * state.held)} %`;
  for (const id of ["rows", "noise"]) $(id).disabled = state.data === "table";
  for (const button of $("problems").children) button.setAttribute("aria-pressed", button.dataset.name === state.data);
  $("play").textContent = playing ? "Pause" : "Play";
  $("fewer").disabled = state.hidden.length === 0;
  $("more").disabled = state.hidden.length >= most.layers;
}

function wire() {
  for (const [id, values] of Object.entries(NUMBERS)) fill(id, values, (v) => (id === "batch" && v === 0 ? "all" : v));
  for (const id of ["rate", "batch", "l1", "l2"]) {
    $(id).onchange = () => {
      state[id] = +$(id).value;
      remember();
      send({ do: "tune", tuning: tuning() });
    };
  }
  $("speed").onchange = () => {
    state.speed = +$("speed").value;
    remember();
    if (playing) play(true);
  };
  for (const id of ["activation", "loss", "optimizer"]) $(id).onchange = () => { state[id] = $(id).value; setUp(); };
  for (const id of ["rows", "noise", "held", "seed"]) $(id).oninput = () => { state[id] = Math.max(0, +$(id).value); setUpSoon(); };
  $("target").onchange = () => { state.target = $("target").value; buildAxes(); choose("table"); };
  $("axis-x").onchange = () => { state.x = $("axis-x").value; if (state.y === state.x) buildAxes(); choose("table"); };
  $("axis-y").onchange = () => { state.y = $("axis-y").value; choose("table"); };
  $("file").onchange = async () => {
    const file = $("file").files[0];
    if (!file) return;
    if (file.size > 4000000) return say(`${file.name} is larger than 4 MB`, true);
    state.target = state.x = state.y = "";
    send({ do: "table", name: file.name, text: await file.text() });
  };
  $("play").onclick = () => play(!playing);
  $("step").onclick = () => { playing = false; send({ do: "step" }); show(); };
  $("reset").onclick = setUp;
  $("more").onclick = () => { state.hidden = [...state.hidden, 4]; setUp(); };
  $("fewer").onclick = () => { state.hidden = state.hidden.slice(0, -1); setUp(); };
  $("neuron").onclick = () => { Object.assign(state, { data: "xor", hidden: [] }); setUp(); };
  $("network").onclick = () => { Object.assign(state, { data: "xor", hidden: [4, 2], activation: "tanh" }); setUp(); };
  $("run-file").onclick = () => send({ do: "run-file" });
  $("model-file").onclick = () => send({ do: "model" });
  $("share").onclick = async () => {
    remember();
    try {
      await navigator.clipboard.writeText(location.href);
      say("Link copied.");
    } catch {
      say(location.href);
    }
  };
  $("discrete").onchange = $("show-held").onchange = draw;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
    const button = { p: "play", s: "step", r: "reset" }[event.key];
    if (button) $(button).click();
  });
  window.addEventListener("resize", () => { if (scene) { buildNetwork(); draw(); } });
  window.addEventListener("hashchange", () => { recall(); setUp(); });
}

// ---- the network

let units = [], places = [];

function buildNetwork() {
  const widths = scene.widths, hidden = widths.slice(0, -1);
  const net = $("net"), width = net.clientWidth;
  const shownInputs = Math.min(scene.inputs.length, 12), shownOutputs = widths[widths.length - 1];
  const tallest = Math.max(shownInputs * 0.6, shownOutputs, ...hidden, 1);
  const size = Math.max(18, Math.min(42, (width - 150) / (widths.length + 1) / 1.6, 460 / tallest - 5));
  const height = Math.max(250, tallest * (size + 6) + 20);
  net.style.height = `${height}px`;
  net.querySelectorAll("canvas, .input").forEach((old) => old.remove());
  $("layers").replaceChildren();
  const left = width < 420 ? 60 : 96, x = (layer) => left + ((width - left - size / 2 - 8) * layer) / widths.length;
  const y = (n, i, gap) => height / 2 + (i - (n - 1) / 2) * gap;
  places = [[...Array(shownInputs).keys()].map((i) => [left, y(shownInputs, i, Math.min(size + 6, (height - 20) / shownInputs))])];
  scene.inputs.slice(0, shownInputs).forEach((name, i) => {
    const label = document.createElement("span");
    label.className = "input";
    label.textContent = label.title = name;
    label.style.right = `${width - left + 8}px`;
    label.style.maxWidth = `${left - 8}px`;
    label.style.top = `${places[0][i][1]}px`;
    net.append(label);
  });
  units = [];
  widths.forEach((n, layer) => {
    places.push([...Array(n).keys()].map((i) => [x(layer + 1), y(n, i, size + 6)]));
    const isOutput = layer === widths.length - 1;
    for (let i = 0; i < n; i++) {
      const canvas = document.createElement("canvas");
      canvas.width = canvas.height = scene.grid;
      canvas.style.width = canvas.style.height = `${size}px`;
      canvas.style.left = `${places[layer + 1][i][0] - size / 2}px`;
      canvas.style.top = `${places[layer + 1][i][1] - size / 2}px`;
      canvas.tabIndex = 0;
      const index = units.length;
      const what = isOutput ? `output ${i + 1}` : `layer ${layer + 1}, unit ${i + 1}`;
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", `Surface of ${what}`);
      canvas.title = what;
      canvas.onmouseenter = canvas.onfocus = () => { look = isOutput && n === 1 ? null : index; drawSurface(); };
      canvas.onmouseleave = canvas.onblur = () => { look = null; drawSurface(); };
      net.append(canvas);
      units.push(canvas);
    }
    if (isOutput) return;
    const bar = document.createElement("span");
    const button = (text, label, change, disabled) => {
      const made = document.createElement("button");
      made.textContent = text;
      made.disabled = disabled;
      made.setAttribute("aria-label", `${label} layer ${layer + 1}`);
      made.onclick = () => { state.hidden = state.hidden.map((k, j) => (j === layer ? k + change : k)); setUp(); };
      return made;
    };
    bar.append(button("−", "Remove a unit of", -1, n <= 1), `${n}`, button("+", "Add a unit to", 1, n >= most.units));
    bar.style.left = `${x(layer + 1)}px`;
    $("layers").append(bar);
  });
  $("sentence").textContent = `${scene.network}; ${scene.rows[0]} training rows, ${scene.rows[1]} held out; loss ${scene.loss}`;
  const classes = scene.classes || [];
  $("legend").replaceChildren(...classes.map((name, i) => {
    const line = document.createElement("span"), dot = document.createElement("i");
    dot.style.background = `rgb(${colorOf(i)})`;
    line.append(dot, name);
    return line;
  }));
  $("axes").textContent = `→ ${scene.axes[0].name} (${short(scene.axes[0].low)} to ${short(scene.axes[0].high)}), ↑ ${scene.axes[1].name} (${short(scene.axes[1].low)} to ${short(scene.axes[1].high)})`
    + (scene.classes ? "" : `; color: ${scene.target}, ${short(scene.range[0])} (orange) to ${short(scene.range[1])} (blue)`);
}

const short = (v) => (Number.isFinite(v) ? String(+v.toPrecision(3)) : "–");

function drawLinks() {
  const lines = [];
  const px = (v) => v.toFixed(1);
  picture.weights.forEach(([weights], layer) => {
    const from = places[layer], to = places[layer + 1], columns = scene.widths[layer];
    const most = weights.reduce((m, w) => Math.max(m, Math.abs(w)), 1e-9);
    from.forEach(([x1, y1], i) => to.forEach(([x2, y2], j) => {
      const w = weights[i * columns + j], part = Math.abs(w) / most, middle = (x1 + x2) / 2;
      lines.push(`<path d="M${px(x1)} ${px(y1)}C${px(middle)} ${px(y1)} ${px(middle)} ${px(y2)} ${px(x2)} ${px(y2)}" fill="none" stroke="${w < 0 ? "#e69f00" : "#0072b2"}" stroke-width="${(0.3 + 4 * part).toFixed(2)}" stroke-opacity="${(0.15 + 0.75 * part).toFixed(2)}"><title>${w.toFixed(4)}</title></path>`);
    }));
  });
  $("links").innerHTML = lines.join("");
}

// ---- colors

const colorOf = (k) => (scene.classes && NAMED[scene.classes[k]]) || PALETTE[k % PALETTE.length];
const mix = (a, b, t) => [0, 1, 2].map((i) => Math.round(a[i] + (b[i] - a[i]) * t));

/// A color between `low` at −1, white at 0, and `high` at 1.
function between(low, high, t) {
  t = Math.max(-1, Math.min(1, t));
  return t < 0 ? mix(WHITE, low, -t) : mix(WHITE, high, t);
}

const surfaceOf = (unit) => picture.bytes.subarray(unit * scene.grid ** 2, (unit + 1) * scene.grid ** 2);

/// Paints a surface, its first row at the bottom; `color` maps the index of a point to its color.
function paint(canvas, color) {
  const n = scene.grid, context = canvas.getContext("2d"), image = context.createImageData(n, n);
  for (let row = 0; row < n; row++) {
    for (let column = 0; column < n; column++) {
      const [r, g, b] = color((n - 1 - row) * n + column), at = 4 * (row * n + column);
      image.data[at] = r;
      image.data[at + 1] = g;
      image.data[at + 2] = b;
      image.data[at + 3] = 255;
    }
  }
  context.putImageData(image, 0, 0);
}

/// The color of each point of a unit's surface, as a function of its index.
function colors(unit, whole) {
  const outputs = scene.widths[scene.widths.length - 1], first = units.length - outputs;
  const discrete = $("discrete").checked;
  if (whole && outputs > 1 && scene.classes) {
    const all = [...Array(outputs).keys()].map((k) => surfaceOf(first + k));
    return (i) => {
      let best = 0;
      for (let k = 1; k < outputs; k++) if (all[k][i] > all[best][i]) best = k;
      return mix(WHITE, colorOf(best), discrete ? 0.7 : 0.75 * (all[best][i] / 255));
    };
  }
  const bytes = surfaceOf(unit), [low, high] = picture.ranges[unit];
  if (unit >= first && scene.classes) {
    const [off, on] = outputs === 1 ? [colorOf(0), colorOf(1)] : [[120, 120, 120], colorOf(unit - first)];
    return (i) => between(off, on, 0.8 * (discrete ? Math.sign(bytes[i] - 127.5) : bytes[i] / 127.5 - 1));
  }
  // Numbers are scaled by the range of the target for outputs, by their largest magnitude for hidden units.
  const value = (i) => low + (bytes[i] / 255) * (high - low);
  if (unit >= first) {
    const [from, to] = scene.range, middle = (from + to) / 2, half = (to - from) / 2 || 1;
    return (i) => between(PALETTE[0], PALETTE[1], (value(i) - middle) / half);
  }
  const largest = Math.max(Math.abs(low), Math.abs(high), 1e-9);
  return (i) => between(PALETTE[0], PALETTE[1], value(i) / largest);
}

// ---- drawing

function draw() {
  if (!picture || !scene || picture.bytes.length !== units.length * scene.grid ** 2) return;
  playing = picture.playing;
  units.forEach((canvas, unit) => paint(canvas, colors(unit, false)));
  drawLinks();
  drawSurface();
  drawCurve();
  $("epoch").textContent = `epoch ${picture.epoch}`;
  $("training").textContent = picture.training === null ? "–" : picture.training.toFixed(4);
  $("validation").textContent = picture.held_out === null ? "–" : picture.held_out.toFixed(4);
  show();
}

const buffer = document.createElement("canvas");

function drawSurface() {
  if (!picture) return;
  const canvas = $("surface"), context = canvas.getContext("2d"), size = canvas.width;
  buffer.width = buffer.height = scene.grid;
  const outputs = scene.widths[scene.widths.length - 1];
  paint(buffer, colors(look === null ? units.length - outputs : look, look === null));
  context.imageSmoothingEnabled = !$("discrete").checked;
  context.drawImage(buffer, 0, 0, size, size);
  const [ax, ay] = scene.axes, [from, to] = scene.range, middle = (from + to) / 2, half = (to - from) / 2 || 1;
  for (const [x, y, target, part] of scene.points) {
    if (part === 1 && !$("show-held").checked) continue;
    const color = scene.classes ? colorOf(target) : between(PALETTE[0], PALETTE[1], (target - middle) / half);
    context.beginPath();
    context.arc((size * (x - ax.low)) / (ax.high - ax.low), size - (size * (y - ay.low)) / (ay.high - ay.low), part ? 3.4 : 3, 0, 7);
    context.fillStyle = `rgb(${part ? WHITE : color})`;
    context.strokeStyle = part ? `rgb(${color})` : "#fff";
    context.lineWidth = part ? 2 : 0.8;
    context.fill();
    context.stroke();
  }
}

function drawCurve() {
  const canvas = $("curve"), context = canvas.getContext("2d"), { width, height } = canvas;
  context.clearRect(0, 0, width, height);
  const values = losses.flatMap(([, a, b]) => [a, b]).filter((v) => v !== null && Number.isFinite(v));
  if (values.length < 2) return;
  const top = Math.max(...values), last = losses[losses.length - 1][0], left = 4;
  context.font = "11px sans-serif";
  context.fillStyle = "#555";
  context.fillText(short(top), left, 11);
  context.fillText("0", left, height - 3);
  context.fillText(`epoch ${last}`, width - 66, height - 3);
  [["#0067a3", 1], ["#b34a00", 2]].forEach(([color, which]) => {
    context.beginPath();
    let begun = false;
    for (const point of losses) {
      if (point[which] === null) continue;
      const x = left + ((width - 2 * left) * point[0]) / Math.max(last, 1), y = height - 14 - ((height - 20) * point[which]) / (top || 1);
      begun ? context.lineTo(x, y) : context.moveTo(x, y);
      begun = true;
    }
    context.strokeStyle = color;
    context.lineWidth = 1.5;
    context.stroke();
  });
}

wire();
recall();
show();
connect();
