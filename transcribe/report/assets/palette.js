"use strict";
// Colours of notes: by hand, by loudness (viridis), by instrument; and which hands and instruments are muted.

const LOUDNESS_STEPS = 16;
const VIRIDIS = [[68, 1, 84], [71, 44, 122], [59, 81, 139], [44, 113, 142], [33, 144, 141], [39, 173, 129],
  [92, 200, 99], [170, 220, 50], [253, 231, 37]];
const INKS = ["paper", "raised", "row", "line", "ink", "quiet", "pedal", "cursor", "accent", "hit", "miss", "extra", "right",
  "left", "lit", "unknown"];

class Palette {
  constructor() {
    this.by = "hands";
    this.muted = new Set();
    this.changed = new Signal();
    this.restyle();
    night.addEventListener("change", () => this.restyle());
  }

  restyle() {
    this.night = dark();
    Object.assign(this, Object.fromEntries(INKS.map((name) => [name, style(name)])));
    this.loudness = Array.from({ length: LOUDNESS_STEPS }, (_, step) => {
      // The loudest stand out most: dark on white, bright on black. The palest tenth of the map would not be seen.
      const share = step / (LOUDNESS_STEPS - 1);
      const at = (this.night ? 0.25 + 0.75 * share : 0.85 * (1 - share)) * (VIRIDIS.length - 1);
      const i = Math.min(Math.floor(at), VIRIDIS.length - 2);
      return `rgb(${VIRIDIS[i].map((c, k) => Math.round(c + (at - i) * (VIRIDIS[i + 1][k] - c))).join(",")})`;
    });
    const stripes = make("canvas", { width: 6, height: 6 });
    const brush = stripes.getContext("2d");
    brush.strokeStyle = this.extra;
    brush.lineWidth = 1.5;
    for (const x of [-6, 0, 6]) { brush.moveTo(x, 6); brush.lineTo(x + 6, 0); }
    brush.stroke();
    this.hatch = brush.createPattern(stripes, "repeat");
    this.changed.send();
  }

  choose(by) { this.by = by; this.changed.send(); }

  of(note) {
    if (this.by === "loudness") return this.loudness[Math.min(Math.floor((note.velocity / 128) * LOUDNESS_STEPS), LOUDNESS_STEPS - 1)];
    if (this.by === "instruments") return config.colours[note.instrument] || this.unknown;
    return note.hand === "left" ? this.left : this.right;
  }

  // Velocity is how strong a colour is, where the colour itself means something else.
  strength(note) { return this.by === "loudness" ? 1 : 0.55 + 0.45 * (note.velocity / 127); }

  silent(note) { return this.muted.size > 0 && (this.muted.has(note.hand) || this.muted.has(note.instrument)); }

  mute(part, off) {
    if (off) this.muted.add(part);
    else this.muted.delete(part);
    this.changed.send();
  }
}
