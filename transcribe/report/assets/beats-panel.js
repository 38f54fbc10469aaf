"use strict";
// Beats and bars put right: tapped along the sound, twice or half as fast, bar lines shifted, metre, key and pick-up told.

class BeatsPanel {
  constructor(editing, player, roll, tell) {
    Object.assign(this, { editing, player, roll, tell, taps: [], active: false });
    const act = (id, action) => find(id).addEventListener("click", action);
    act("tap", () => this.tap(false));
    act("tap-first", () => this.tap(true));
    act("taps-use", () => this.use());
    act("taps-drop", () => this.drop());
    act("tempo-double", () => editing.do({ op: "tempo", factor: 2 }));
    act("tempo-half", () => editing.do({ op: "tempo", factor: 0.5 }));
    act("shift-back", () => editing.do({ op: "shift", beats: -1 }));
    act("shift-on", () => editing.do({ op: "shift", beats: 1 }));
    act("bar-here", () => this.barHere());
    find("metre").addEventListener("change", (event) => event.target.value && editing.do({ op: "metre", metre: event.target.value }));
    find("key").addEventListener("change", (event) => event.target.value && editing.do({ op: "key", key: event.target.value }));
    find("pickup").addEventListener("change", (event) => editing.do({ op: "pickup", beats: clamp(Math.round(Number(event.target.value)) || 0, 0, 12) }));
    const keys = ["C", "G", "D", "A", "E", "B", "F#", "Db", "Ab", "Eb", "Bb", "F"];
    const minor = ["A", "E", "B", "F#", "C#", "G#", "D#", "Bb", "F", "C", "G", "D"];
    const sign = (name) => name.replace("#", "♯").replace(/b$/, "♭");
    find("key").append(...keys.map((k) => make("option", { value: `${k} major` }, say("major", { key: sign(k) }))),
      ...minor.map((k) => make("option", { value: `${k} minor` }, say("minor", { key: sign(k) }))));
    this.draw();
  }

  open(song) {
    this.song = song;
    const choose = (select, value) => {
      if (value && ![...select.options].some((option) => option.value === value)) select.append(make("option", { value }, value));
      select.value = value || "";
    };
    choose(find("metre"), song.metre);
    choose(find("key"), song.key);
    const gap = song.beatLength;
    find("tempo-now").textContent = song.beats.length > 1 ? say("tempo_now", { tempo: Math.round(60 / gap), n: song.beats.length }) : say("no_beats");
    const short = song.bars[0]?.number === 0 ? upTo(song.beats, song.bars[0].offset - 0.02) - upTo(song.beats, song.bars[0].onset - 0.02) : 0;
    find("pickup").value = Math.max(0, short);
  }

  // A tap is where the sound is; while it plays, what is heard is a little behind what is played.
  tap(first) {
    if (!this.player.playing) { this.player.play(); if (!this.taps.length) return this.tell(say("tap_now")); return; }
    const { player } = this, late = (player.context?.outputLatency || 0) * player.rate;
    const time = exact(Math.max(0, player.now() - late));
    // After a jump back the taps begin anew.
    if (this.taps.length && time <= this.taps.at(-1) + 0.1) this.taps = [];
    this.taps.push(time);
    if (first) this.taps.downbeat = this.taps.length - 1;
    this.draw();
  }

  drop() { this.taps = []; this.draw(); }

  use() {
    if (this.taps.length < 2) return;
    const taps = [...this.taps], first = this.taps.downbeat;
    const [per] = (this.song.metre || "4/4").split("/").map(Number);
    // Every bar's first, from the one that was tapped as such.
    const downbeats = first === undefined ? [] : taps.filter((_, i) => (i - first) % (per || 4) === 0);
    this.editing.do({ op: "beats", beats: taps, downbeats });
    this.tell(say("taps_used", { n: taps.length }));
    this.drop();
  }

  // The bar line goes to the beat nearest to the cursor.
  barHere() {
    const { song, player } = this;
    if (!song.beats.length) return;
    const beat = nearest(song.beats, player.position);
    const before = song.downbeats[upTo(song.downbeats, song.beats[beat] + 0.02) - 1] ?? song.downbeats[0];
    const by = before === undefined ? 0 : beat - nearest(song.beats, before);
    if (by) this.editing.do({ op: "shift", beats: by });
  }

  draw() {
    this.roll.taps = this.taps;
    this.roll.request();
    const n = this.taps.length;
    find("taps-count").textContent = n ? say("taps", { n }) : "";
    find("taps-use").disabled = n < 2;
    find("taps-drop").disabled = !n;
  }
}

// The place in a list of the time that is nearest to one.
const nearest = (times, time) => times.reduce((best, other, i) => (Math.abs(other - time) < Math.abs(times[best] - time) ? i : best), 0);
