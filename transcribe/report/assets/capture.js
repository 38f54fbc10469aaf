"use strict";
// In the thread of the sound: what the microphone gives, as blocks of some 10 ms: the place of the first sample in the
// stream, then samples of 16 bits.

class Capture extends AudioWorkletProcessor {
  constructor() {
    super();
    this.length = 128 * Math.max(1, Math.round(sampleRate / 12_800));
    this.place = 0;
    this.begin();
  }

  begin() {
    this.block = new ArrayBuffer(4 + 2 * this.length);
    new DataView(this.block).setUint32(0, this.place, true);
    this.samples = new DataView(this.block, 4);
    this.filled = 0;
  }

  process([[channel]]) {
    // Time goes on where nothing is connected.
    for (let i = 0; i < 128; i++) {
      const sample = Math.round((channel?.[i] ?? 0) * 32768);
      this.samples.setInt16(2 * this.filled++, Math.min(Math.max(sample, -32768), 32767), true);
      if (this.filled < this.length) continue;
      this.place += this.length;
      this.port.postMessage(this.block, [this.block]);
      this.begin();
    }
    return true;
  }
}

registerProcessor("capture", Capture);
