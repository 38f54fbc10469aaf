"use strict";
// Small things that every other file uses. Times are seconds, pitches MIDI numbers.

const BLACK_KEYS = new Set([1, 3, 6, 8, 10]);
const WHITE_NAMES = ["C", "", "D", "", "E", "F", "", "G", "", "A", "", "B"];
const LETTERS = { C: 0, D: 2, E: 4, F: 5, G: 7, A: 9, B: 11 };

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
const find = (id) => document.getElementById(id);
const read = (id) => JSON.parse(find(id).textContent);
const config = read("config");

// What the page says: all its words are in strings.json. {name} is replaced.
function say(key, values = {}) {
  const text = config.strings[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

function clock(seconds) {
  const whole = Math.floor(seconds + 1e-6), minutes = Math.floor(whole / 60);
  const two = (n) => String(n).padStart(2, "0");
  return minutes < 60 ? `${minutes}:${two(whole % 60)}` : `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(whole % 60)}`;
}

const signed = (name) => name.replaceAll("#", "♯").replace(/(?<=[A-G♭])b/g, "♭").replace(/♭b/g, "♭♭");

// The twelve names that pitches have in a key: black keys have those nearest to it on the line of fifths, white keys
// their own.
function namesIn(key) {
  const [, letter = "C", sign = ""] = /^([A-G])([#b]*) (major|minor)$/.exec(key || "") || [];
  const accidentals = sign.length * (sign[0] === "b" ? -7 : 7);
  const first = "FCGDAEB".indexOf(letter) - 1 + accidentals - 4;
  const names = [];
  for (let k = first; k < first + 12; k++) {
    const times = Math.floor((k + 1) / 7), place = (((7 * k) % 12) + 12) % 12;
    names[place] = WHITE_NAMES[place] || "FCGDAEB"[(((k + 1) % 7) + 7) % 7] + (times < 0 ? "♭" : "♯").repeat(Math.abs(times));
  }
  return names;
}
let names = namesIn("");
const pitchName = (pitch) => `${names[pitch % 12]}${Math.floor(pitch / 12) - 1}`;

// C:min7/b3 → Cm7/E♭, as chord_name in theory/chords.py does.
function chordName(label) {
  const match = /^([A-G][#b]*)(?::([^/(]*)(\([^)]*\))?)?(?:\/([#b]*)(\d+))?$/.exec(label);
  if (!match) return label === "N" ? "N.C." : label;
  const [, root, quality = "maj", more = "", accidentals, degree] = match;
  let bass = "";
  if (degree) {
    const above = [0, 2, 4, 5, 7, 9, 11][(degree - 1) % 7];
    const letter = "CDEFGAB"[("CDEFGAB".indexOf(root[0]) + Number(degree) - 1) % 7];
    const shift = (text) => [...text].reduce((sum, sign) => sum + (sign === "#" ? 1 : -1), 0);
    let apart = LETTERS[root[0]] + shift(root.slice(1)) + above + shift(accidentals) - LETTERS[letter];
    apart = ((((apart + 6) % 12) + 12) % 12) - 6;
    bass = `/${letter}${(apart < 0 ? "b" : "#").repeat(Math.abs(apart))}`;
  }
  const name = config.chords[quality + more] ?? (config.chords[quality] ?? quality) + more;
  return `${signed(root)}${name}${signed(bass)}`;
}

// An element: its properties, its children. Text is never taken for HTML.
function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element && name !== "list") element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

// Whoever wants to know is told: signal.on(listener), signal.send(value).
class Signal {
  constructor() { this.listeners = []; }
  on(listener) { this.listeners.push(listener); }
  send(value) { for (const listener of this.listeners) listener(value); }
}

// The number of items of a sorted list whose key is at most a value.
function upTo(items, value, key = (item) => item) {
  let low = 0, high = items.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (key(items[middle]) <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}

const stillness = matchMedia("(prefers-reduced-motion: reduce)");
const night = matchMedia("(prefers-color-scheme: dark)");
const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
function dark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : night.matches;
}

// A canvas that fills an element, at the screen's resolution; draw(g, width, height) when something has changed.
class Surface {
  constructor(element, draw) {
    this.canvas = element.appendChild(make("canvas", { ariaHidden: "true" }));
    this.g = this.canvas.getContext("2d", { alpha: false });
    this.draw = draw;
    [this.width, this.height] = [0, 0];
  }

  resize(width, height) {
    const ratio = devicePixelRatio || 1;
    [this.width, this.height] = [width, height];
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(height * ratio);
    this.canvas.style.height = `${height}px`;
    this.g.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.request();
  }

  request() {
    if (this.requested) return;
    this.requested = true;
    requestAnimationFrame(() => this.now());
  }

  now() {
    this.requested = false;
    if (this.width && this.height) this.draw(this.g, this.width, this.height);
  }
}
