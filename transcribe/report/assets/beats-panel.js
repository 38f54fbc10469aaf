"use strict";
// Beats and bars put right: tapped along the sound, twice or half as fast, bar lines shifted, metre, key and pick-up told.

const SHORTEST_BEAT = 0.12, LONGEST_BEAT = 4; // s

class BeatsPanel {
  constructor(editing, player, roll, tell) {
    Object.assign(this, { editing, player, roll, tell, taps: [], firsts: [] });
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
    const time = exact(Math.max(0, player.now() - late)), gap = time - (this.taps.at(-1) ?? time - 1);
    // After a jump or a long pause the taps begin anew; two within a moment are one.
    if (gap < -0.2 || gap > LONGEST_BEAT) [this.taps, this.firsts] = [[], []];
    else if (gap < SHORTEST_BEAT) return;
    this.taps.push(time);
    if (first) this.firsts.push(time);
    this.draw();
  }

  drop() { [this.taps, this.firsts] = [[], []]; this.draw(); }

  use() {
    if (this.taps.length < 2) return;
    // A few are enough: the beats before and after follow from them.
    this.editing.do({ op: "beats", beats: this.taps, downbeats: this.firsts });
    this.tell(say("taps_used", { n: this.taps.length }));
    this.drop();
  }

  // The bar line goes to the beat nearest to the cursor.
  barHere() {
    const { song, player } = this;
    if (!song.beats.length) return;
    this.editing.do({ op: "beats", beats: [], downbeats: [exact(song.beats[nearest(song.beats, player.position)])] });
  }

  draw() {
    [this.roll.taps, this.roll.firsts] = [this.taps, this.firsts];
    this.roll.request();
    const n = this.taps.length;
    find("taps-count").textContent = n ? say("taps", { n }) : "";
    find("taps-use").disabled = n < 2;
    find("taps-drop").disabled = !n;
  }
}

// The place in a list of the time that is nearest to one.
const nearest = (times, time) => times.reduce((best, other, i) => (Math.abs(other - time) < Math.abs(times[best] - time) ? i : best), 0);
